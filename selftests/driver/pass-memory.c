// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that comes in other ways than by kmalloc(): arrays of objects, pools,
 * pages that the driver holds, what the user has.
 */
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
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
