// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that comes in other ways than by kmalloc(): arrays of objects, pools,
 * pages that the driver holds, what the user has.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include "conform.h"

#define OBJ_SIZE	120

static struct kmem_cache *new_cache(void)
{
	return kmem_cache_create("chariot_conform_pool", OBJ_SIZE, 0, 0, NULL);
}

/* ---- arrays and pools --------------------------------------------------- */

int pass_cache_bulk(struct job *job)
{
	struct kmem_cache *cache = new_cache();
	void *p[8];
	int i, n, ret = 0;

	if (!cache)
		return -ENOMEM;
	n = kmem_cache_alloc_bulk(cache, GFP_KERNEL, ARRAY_SIZE(p), p);
	if (n != ARRAY_SIZE(p))
		ret = -ENOMEM;
	for (i = 0; i < n && !ret; i++)
		ret = fill(p[i], OBJ_SIZE);
	if (n)
		kmem_cache_free_bulk(cache, n, p);
	kmem_cache_destroy(cache);
	return ret;
}

/* More than the pool keeps, so that some come from what is below it. */
static int use_pool(mempool_t *pool, size_t size, bool pages)
{
	void *p[4] = {}, *mem;
	int i, ret = pool ? 0 : -ENOMEM;

	for (i = 0; i < ARRAY_SIZE(p) && !ret; i++) {
		p[i] = mempool_alloc(pool, GFP_KERNEL);
		mem = pages && p[i] ? page_address(p[i]) : p[i];
		ret = fill(mem, size);
	}
	for (i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i])
			mempool_free(p[i], pool);
	return ret;
}

int pass_mempool_slab(struct job *job)
{
	struct kmem_cache *cache = new_cache();
	mempool_t *pool;
	int ret;

	if (!cache)
		return -ENOMEM;
	pool = mempool_create_slab_pool(2, cache);
	ret = use_pool(pool, OBJ_SIZE, false);
	mempool_destroy(pool);
	kmem_cache_destroy(cache);
	return ret;
}

int pass_mempool_kmalloc(struct job *job)
{
	mempool_t *pool = mempool_create_kmalloc_pool(2, 500);
	int ret = use_pool(pool, 500, false);

	mempool_destroy(pool);
	return ret;
}

int pass_mempool_page(struct job *job)
{
	mempool_t pool;
	int ret = mempool_init_page_pool(&pool, 2, 0);

	if (ret)
		return ret;
	ret = use_pool(&pool, PAGE_SIZE, true);
	mempool_exit(&pool);
	return ret;
}

int pass_arrays(struct job *job)
{
	void *p[5] = {
		kmalloc_array(30, 16, GFP_KERNEL),
		kcalloc(30, 16, GFP_KERNEL),
		kvmalloc_array(30, 16, GFP_KERNEL),
		kvcalloc(3000, 16, GFP_KERNEL),
		kzalloc_node(480, GFP_KERNEL, numa_node_id()),
	};
	int i, ret = 0;

	if (p[1] && memchr_inv(p[1], 0, 480))
		ret = -EIO;
	for (i = 0; i < ARRAY_SIZE(p); i++) {
		if (!ret)
			ret = fill(p[i], i == 3 ? 48000 : 480);
		kvfree(p[i]);
	}
	return ret;
}

int pass_text_copies(struct job *job)
{
	char *a = kstrndup("chariot-42", 7, GFP_KERNEL);
	char *b = kmemdup_nul("chariot-42", 9, GFP_KERNEL);
	int ret = a && b && strlen(a) == 7 && strlen(b) == 9 ? 0 : -EIO;

	if (!ret) {
		a[6] = 'T';
		b[8] = '3';
		ret = strcmp(a, "charioT") || strcmp(b, "chariot-3") ? -EIO : 0;
	}
	kfree_sensitive(a);
	kfree(b);
	return ret;
}

/* ---- pages -------------------------------------------------------------- */

/* The count is in the kernel's memory map. */
int pass_page_reference(struct job *job)
{
	void *p = vmalloc(PAGE_SIZE);
	struct page *page;
	int before, ret = 0;

	if (!p)
		return -ENOMEM;
	page = vmalloc_to_page(p);
	before = page_count(page);
	get_page(page);
	if (page_count(page) != before + 1)
		ret = -EIO;
	put_page(page);
	vfree(p);
	return ret;
}

int pass_pages_exact(struct job *job)
{
	void *p = alloc_pages_exact(3 * PAGE_SIZE, GFP_KERNEL);
	int ret = fill(p, 3 * PAGE_SIZE);

	if (p)
		free_pages_exact(p, 3 * PAGE_SIZE);
	return ret;
}

/* Pages that are not neighbours, written through a mapping of them all. */
int pass_vmap(struct job *job)
{
	struct page *pages[3] = {};
	void *map = NULL;
	int i, ret = 0;

	for (i = 0; i < ARRAY_SIZE(pages) && !ret; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		ret = pages[i] ? 0 : -ENOMEM;
	}
	if (!ret)
		map = vmap(pages, ARRAY_SIZE(pages), VM_MAP, PAGE_KERNEL);
	if (!ret)
		ret = fill(map, ARRAY_SIZE(pages) * PAGE_SIZE);
	if (!ret && *(u64 *)page_address(pages[2]) !=
	    CHARIOT_WILD + 2 * PAGE_SIZE / 8)
		ret = -EIO;
	vunmap(map);
	for (i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i])
			__free_page(pages[i]);
	return ret;
}

/* What a driver notes down in the kernel's memory map, of its own pages. */
int pass_page_private(struct job *job)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, 2);
	int ret = 0;

	if (!page)
		return -ENOMEM;
	set_page_private(page, 77);
	SetPagePrivate(page);
	if (page_private(page) != 77 || !PagePrivate(page))
		ret = -EIO;
	ClearPagePrivate(page);
	set_page_private(page, 0);
	get_page(page + 3);
	put_page(page + 3);
	memzero_page(page, 100, 200);
	memcpy_to_page(page, 100, "chariot", 8);
	if (strcmp(page_address(page) + 100, "chariot"))
		ret = -EIO;
	put_page(page);
	return ret;
}

static int write_pinned(struct page **pages, int n)
{
	int i, ret = 0;
	void *p;

	for (i = 0; i < n && !ret; i++) {
		p = kmap_local_page(pages[i]);
		ret = fill(p, PAGE_SIZE);
		*(u32 *)p = i + 1;
		kunmap_local(p);
	}
	return ret;
}

int pass_pin_user_pages(struct job *job)
{
	unsigned long addr = vm_mmap(NULL, 0, 4 * PAGE_SIZE,
				     PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	struct page *pages[4];
	u32 val = 0;
	int n, ret = -EFAULT;

	if (IS_ERR_VALUE(addr))
		return addr;
	n = pin_user_pages_fast(addr, 4, FOLL_WRITE, pages);
	if (n == 4)
		ret = write_pinned(pages, n);
	if (n > 0)
		unpin_user_pages_dirty_lock(pages, n, true);
	if (!ret && get_user(val, (u32 __user *)(addr + 3 * PAGE_SIZE)))
		ret = -EFAULT;
	if (!ret && val != 4)
		ret = -EIO;
	vm_munmap(addr, 4 * PAGE_SIZE);
	return ret;
}

/* ---- the user's memory -------------------------------------------------- */

struct user_record {
	u32	id;
	u32	len;
	u64	val;
};

static int unsafe_record(struct user_record __user *u)
{
	if (!user_write_access_begin(u, sizeof(*u)))
		return -EFAULT;
	unsafe_put_user(6, &u->len, fault);
	unsafe_put_user(CHARIOT_WILD, &u->val, fault);
	user_write_access_end();
	return 0;
fault:
	user_write_access_end();
	return -EFAULT;
}

static int write_inline(struct user_record __user *u)
{
	struct user_record s = { .id = 1, .val = 2 };

	if (!access_ok(u, sizeof(*u)))
		return -EFAULT;
	if (__copy_to_user(u, &s, sizeof(s)) || __put_user(5, &u->id))
		return -EFAULT;
	return unsafe_record(u);
}

/* Writes to user addresses that the driver's own code does. */
int pass_user_inline(struct job *job)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	struct user_record __user *u = (void __user *)addr;
	struct user_record s = {};
	int ret;

	if (IS_ERR_VALUE(addr))
		return addr;
	ret = write_inline(u);
	if (!ret && copy_from_user(&s, u, sizeof(s)))
		ret = -EFAULT;
	if (!ret && (s.id != 5 || s.len != 6 || s.val != CHARIOT_WILD))
		ret = -EIO;
	if (!ret && clear_user(&u->val, sizeof(u->val)))
		ret = -EFAULT;
	if (!ret && (get_user(s.val, &u->val) || s.val))
		ret = -EIO;
	vm_munmap(addr, PAGE_SIZE);
	return ret;
}

/* What the user has written, copied into memory that the kernel allocates. */
int pass_user_copies(struct job *job)
{
	char *a = memdup_user(job->ubuf, job->ulen);
	char *b = memdup_user_nul(job->ubuf, job->ulen);
	char *c = vmemdup_user(job->ubuf, job->ulen);
	int ret = -EFAULT;

	if (!IS_ERR(a) && !IS_ERR(b) && !IS_ERR(c)) {
		ret = memcmp(a, b, job->ulen) || memcmp(a, c, job->ulen) ?
		      -EIO : 0;
		a[0] = 'X';
		b[job->ulen - 1] = 'X';
		c[0] = 'X';
	}
	if (!IS_ERR(a))
		kfree(a);
	if (!IS_ERR(b))
		kfree(b);
	if (!IS_ERR(c))
		kvfree(c);
	return ret;
}

int pass_simple_buffer(struct job *job)
{
	char buf[16] = {};
	loff_t pos = 4;
	ssize_t n = simple_write_to_buffer(buf, sizeof(buf), &pos, job->ubuf, 8);

	if (n != 8 || pos != 12 || strcmp(buf + 4, "simple_b"))
		return -EIO;
	return 0;
}

int pass_iov_iter(struct job *job)
{
	char from[24] = "a vector of the driver", to[24] = {};
	struct kvec vec[2] = {
		{ .iov_base = to, .iov_len = 10 },
		{ .iov_base = to + 10, .iov_len = 14 },
	};
	struct iov_iter iter;

	iov_iter_kvec(&iter, ITER_DEST, vec, 2, sizeof(to));
	if (copy_to_iter(from, 24, &iter) != 24 || iov_iter_count(&iter))
		return -EIO;
	iov_iter_kvec(&iter, ITER_SOURCE, vec, 2, sizeof(to));
	iov_iter_advance(&iter, 2);
	if (copy_from_iter(from, 6, &iter) != 6)
		return -EIO;
	return strncmp(from, "vectoror", 8) || strcmp(to + 2,
		"vector of the driver") ? -EIO : 0;
}
