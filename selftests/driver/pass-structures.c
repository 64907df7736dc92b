// SPDX-License-Identifier: GPL-2.0
/*
 * Objects of the driver's that functions of the kernel link, count, sort and
 * fill in: trees, identifiers, counters, chains, text and numbers.
 */
#include <linux/bitmap.h>
#include <linux/genalloc.h>
#include <linux/idr.h>
#include <linux/kernel.h>
#include <linux/kref.h>
#include <linux/kthread.h>
#include <linux/list_sort.h>
#include <linux/llist.h>
#include <linux/notifier.h>
#include <linux/percpu_counter.h>
#include <linux/random.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/semaphore.h>
#include <linux/seqlock.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/srcu.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>
#include <linux/xarray.h>
#if __has_include(<linux/hex.h>)
#include <linux/hex.h>
#endif

#include <crypto/hash.h>
#include <crypto/sha2.h>

#include "conform.h"

#define ITEMS	100

struct item {
	struct list_head	list;
	struct llist_node	llist;
	struct rb_node		rb;
	u32			key;
};

/* The keys are not in order. */
static struct item *new_items(void)
{
	struct item *items = kcalloc(ITEMS, sizeof(*items), GFP_KERNEL);
	int i;

	for (i = 0; items && i < ITEMS; i++)
		items[i].key = (i * 37) % ITEMS;
	return items;
}

/* ---- identifiers -------------------------------------------------------- */

int pass_idr(struct job *job)
{
	static u64 vals[ITEMS];
	struct idr idr;
	int i, id, ret = 0;

	idr_init(&idr);
	for (i = 0; i < ITEMS && !ret; i++) {
		id = idr_alloc(&idr, &vals[i], 5, 0, GFP_KERNEL);
		ret = id == i + 5 ? 0 : -EIO;
	}
	if (!ret && (idr_find(&idr, 7) != &vals[2] ||
		     idr_remove(&idr, 7) != &vals[2] || idr_find(&idr, 7)))
		ret = -EIO;
	idr_destroy(&idr);
	return ret;
}

int pass_ida(struct job *job)
{
	static DEFINE_IDA(ida);
	int i, id, ret = 0;

	for (i = 0; i < 2000 && !ret; i++) {
		id = ida_alloc(&ida, GFP_KERNEL);
		ret = id == i ? 0 : -EIO;
	}
	ida_free(&ida, 77);
	if (!ret && ida_alloc(&ida, GFP_KERNEL) != 77)
		ret = -EIO;
	ida_destroy(&ida);
	return ret;
}

int pass_xarray(struct job *job)
{
	unsigned long at, n = 0;
	struct xarray xa;
	int i, ret = 0;
	void *entry;

	xa_init(&xa);
	for (i = 0; i < ITEMS && !ret; i++)
		ret = xa_err(xa_store(&xa, i * 100, xa_mk_value(i),
				      GFP_KERNEL));
	xa_erase(&xa, 300);
	xa_for_each(&xa, at, entry)
		n += at == xa_to_value(entry) * 100;
	if (!ret && (n != ITEMS - 1 || xa_load(&xa, 300)))
		ret = -EIO;
	xa_destroy(&xa);
	return ret;
}

/* ---- links -------------------------------------------------------------- */

static void insert(struct rb_root *root, struct item *item)
{
	struct rb_node **at = &root->rb_node, *parent = NULL;

	while (*at) {
		parent = *at;
		if (item->key < rb_entry(parent, struct item, rb)->key)
			at = &parent->rb_left;
		else
			at = &parent->rb_right;
	}
	rb_link_node(&item->rb, parent, at);
	rb_insert_color(&item->rb, root);
}

int pass_rbtree(struct job *job)
{
	struct item *items = new_items();
	struct rb_root root = RB_ROOT;
	struct rb_node *node;
	int i, ret = 0;

	if (!items)
		return -ENOMEM;
	for (i = 0; i < ITEMS; i++)
		insert(&root, &items[i]);
	for (i = 0, node = rb_first(&root); node; node = rb_next(node))
		if (rb_entry(node, struct item, rb)->key != i++)
			ret = -EIO;
	if (i != ITEMS)
		ret = -EIO;
	for (i = 0; i < ITEMS; i++)
		rb_erase(&items[i].rb, &root);
	if (!RB_EMPTY_ROOT(&root))
		ret = -EIO;
	kfree(items);
	return ret;
}

static int compare_items(void *priv, const struct list_head *a,
			 const struct list_head *b)
{
	return list_entry(a, struct item, list)->key >
	       list_entry(b, struct item, list)->key;
}

int pass_list_sort(struct job *job)
{
	struct item *item, *items = new_items();
	LIST_HEAD(head);
	int i, ret = 0;

	if (!items)
		return -ENOMEM;
	for (i = 0; i < ITEMS; i++)
		list_add_tail(&items[i].list, &head);
	list_sort(NULL, &head, compare_items);
	i = 0;
	list_for_each_entry(item, &head, list)
		if (item->key != i++)
			ret = -EIO;
	kfree(items);
	return i == ITEMS ? ret : -EIO;
}

static int compare_keys(const void *a, const void *b)
{
	return *(const u32 *)a < *(const u32 *)b ? -1 : 1;
}

int pass_sort(struct job *job)
{
	u32 *keys = kmalloc_array(ITEMS, sizeof(*keys), GFP_KERNEL);
	int i, ret = 0;

	if (!keys)
		return -ENOMEM;
	for (i = 0; i < ITEMS; i++)
		keys[i] = (i * 37) % ITEMS;
	sort(keys, ITEMS, sizeof(*keys), compare_keys, NULL);
	for (i = 0; i < ITEMS; i++)
		if (keys[i] != i)
			ret = -EIO;
	kfree(keys);
	return ret;
}

int pass_llist(struct job *job)
{
	struct item *item, *items = new_items();
	LLIST_HEAD(head);
	int i, n = 0;

	if (!items)
		return -ENOMEM;
	for (i = 0; i < ITEMS; i++)
		llist_add(&items[i].llist, &head);
	llist_for_each_entry(item, llist_reverse_order(llist_del_all(&head)),
			     llist)
		n += item == &items[n];
	kfree(items);
	return n == ITEMS && llist_empty(&head) ? 0 : -EIO;
}

int pass_bitmap(struct job *job)
{
	unsigned long *map = bitmap_zalloc(300, GFP_KERNEL);
	int ret;

	if (!map)
		return -ENOMEM;
	bitmap_set(map, 60, 100);
	bitmap_clear(map, 70, 5);
	ret = bitmap_weight(map, 300) == 95 ? 0 : -EIO;
	if (!ret)
		ret = bitmap_parselist("1,10-19,299", map, 300);
	if (!ret && (bitmap_weight(map, 300) != 12 || !test_bit(299, map)))
		ret = -EIO;
	bitmap_free(map);
	return ret;
}

/* ---- counters and locks ------------------------------------------------- */

int pass_percpu_counter(struct job *job)
{
	struct percpu_counter counter;
	int i, ret = percpu_counter_init(&counter, 7, GFP_KERNEL);

	if (ret)
		return ret;
	for (i = 0; i < 1000; i++)
		percpu_counter_inc(&counter);
	if (percpu_counter_sum(&counter) != 1007)
		ret = -EIO;
	percpu_counter_destroy(&counter);
	return ret;
}

struct kref_object {
	struct kref	ref;
	bool		*gone;
};

static void kref_released(struct kref *ref)
{
	struct kref_object *o = container_of(ref, struct kref_object, ref);

	*o->gone = true;
	kfree(o);
}

int pass_kref(struct job *job)
{
	struct kref_object *o = kzalloc(sizeof(*o), GFP_KERNEL);
	bool gone = false;

	if (!o)
		return -ENOMEM;
	o->gone = &gone;
	kref_init(&o->ref);
	kref_get(&o->ref);
	if (kref_put(&o->ref, kref_released) || gone)
		return -EIO;
	return kref_put(&o->ref, kref_released) && gone ? 0 : -EIO;
}

int pass_srcu(struct job *job)
{
	struct srcu_struct srcu;
	int at, ret = init_srcu_struct(&srcu);

	if (ret)
		return ret;
	at = srcu_read_lock(&srcu);
	srcu_read_unlock(&srcu, at);
	synchronize_srcu(&srcu);
	cleanup_srcu_struct(&srcu);
	return 0;
}

int pass_sleeping_locks(struct job *job)
{
	static DECLARE_RWSEM(rwsem);
	static DEFINE_SEQLOCK(seqlock);
	struct semaphore sem;
	unsigned int seq;
	int ret = 0;

	sema_init(&sem, 1);
	down(&sem);
	if (!down_trylock(&sem))
		ret = -EIO;
	up(&sem);
	down_read(&rwsem);
	if (down_write_trylock(&rwsem))
		ret = -EIO;
	up_read(&rwsem);
	down_write(&rwsem);
	downgrade_write(&rwsem);
	up_read(&rwsem);
	seq = read_seqbegin(&seqlock);
	write_seqlock(&seqlock);
	write_sequnlock(&seqlock);
	return read_seqretry(&seqlock, seq) ? ret : -EIO;
}

static int notified(struct notifier_block *nb, unsigned long event, void *data)
{
	*(u64 *)data += event;
	return NOTIFY_OK;
}

int pass_notifier(struct job *job)
{
	static BLOCKING_NOTIFIER_HEAD(chain);
	static struct notifier_block blocks[2] = {
		{ .notifier_call = notified },
		{ .notifier_call = notified, .priority = 1 },
	};
	u64 sum = 0;
	int i;

	for (i = 0; i < 2; i++)
		blocking_notifier_chain_register(&chain, &blocks[i]);
	blocking_notifier_call_chain(&chain, 21, &sum);
	for (i = 0; i < 2; i++)
		blocking_notifier_chain_unregister(&chain, &blocks[i]);
	return sum == 42 ? 0 : -EIO;
}

struct worker_job {
	struct kthread_work	work;
	u64			val;
};

static void worker_fn(struct kthread_work *work)
{
	container_of(work, struct worker_job, work)->val = CHARIOT_WILD;
}

int pass_kthread_worker(struct job *job)
{
	struct kthread_worker *worker = kthread_create_worker(0, "conform");
	struct worker_job w = {};

	if (IS_ERR(worker))
		return PTR_ERR(worker);
	kthread_init_work(&w.work, worker_fn);
	kthread_queue_work(worker, &w.work);
	kthread_flush_work(&w.work);
	kthread_destroy_worker(worker);
	return READ_ONCE(w.val) == CHARIOT_WILD ? 0 : -EIO;
}

/* ---- a pool over own memory --------------------------------------------- */

int pass_gen_pool(struct job *job)
{
	void *mem = vzalloc(PAGE_SIZE);
	struct gen_pool *pool = gen_pool_create(6, -1);
	unsigned long p = 0;
	int ret = -ENOMEM;

	if (mem && pool)
		ret = gen_pool_add(pool, (unsigned long)mem, PAGE_SIZE, -1);
	if (!ret) {
		p = gen_pool_alloc(pool, 192);
		ret = fill((void *)p, 192);
	}
	if (p)
		gen_pool_free(pool, p, 192);
	if (pool)
		gen_pool_destroy(pool);
	vfree(mem);
	return ret;
}

/* ---- text, numbers, data ------------------------------------------------ */

int pass_parse(struct job *job)
{
	u8 mac[6], bin[4];
	int a, b;
	u64 c;

	if (kstrtoint("-17", 10, &a) || kstrtoull("0x123456789", 0, &c) ||
	    a != -17 || c != 0x123456789)
		return -EIO;
	if (sscanf("7:0x1f", "%d:%x", &a, &b) != 2 || a != 7 || b != 31)
		return -EIO;
	if (hex2bin(bin, "01020304", 4) || bin[3] != 4)
		return -EIO;
	return mac_pton("52:54:00:12:34:56", mac) && mac[5] == 0x56 ? 0 : -EIO;
}

int pass_print(struct job *job)
{
	char *text = kzalloc(240, GFP_KERNEL);
	int n, ret = -EIO;

	if (!text)
		return -ENOMEM;
	n = sprintf(text, "%04x-%pM", 0xbeef, "\1\2\3\4\5\6");
	n += scnprintf(text + n, 240 - n, "-%s", job->arg);
	strlcat(text, "-end", 240);
	if (!strcmp(text, "beef-01:02:03:04:05:06--end") && n == 23)
		ret = 0;
	hex_dump_to_buffer(text, 16, 16, 1, text + 100, 140, true);
	if (strncmp(text + 100, "62 65 65 66", 11))
		ret = -EIO;
	kfree(text);
	return ret;
}

int pass_split(struct job *job)
{
	char *text = kstrdup("  one,two;three  ", GFP_KERNEL);
	char *at, *word;
	int n = 0;

	if (!text)
		return -ENOMEM;
	at = strim(text);
	while ((word = strsep(&at, ",;")))
		n += strlen(word);
	kfree(text);
	return n == 11 ? 0 : -EIO;
}

int pass_random(struct job *job)
{
	u8 *a = kzalloc(100, GFP_KERNEL), b[32] = {};
	int ret = a ? 0 : -ENOMEM;

	get_random_bytes(b, sizeof(b));
	if (a) {
		get_random_bytes(a, 100);
		if (!memchr_inv(a, 0, 100) || !memchr_inv(b, 0, sizeof(b)))
			ret = -EIO;
	}
	kfree(a);
	return ret;
}

int pass_time(struct job *job)
{
	struct timespec64 real, boot;
	struct tm tm;

	ktime_get_real_ts64(&real);
	ktime_get_ts64(&boot);
	time64_to_tm(86400, 0, &tm);
	return real.tv_sec && boot.tv_nsec < NSEC_PER_SEC && tm.tm_mday == 2 ?
	       0 : -EIO;
}

static int digest(struct crypto_shash *tfm, u8 *out)
{
	SHASH_DESC_ON_STACK(desc, tfm);
	int ret;

	desc->tfm = tfm;
	ret = crypto_shash_init(desc);
	if (!ret)
		ret = crypto_shash_update(desc, "ab", 2);
	if (!ret)
		ret = crypto_shash_update(desc, "c", 1);
	return ret ? ret : crypto_shash_final(desc, out);
}

/* The state is in our frame, as large as the kernel says. */
int pass_shash(struct job *job)
{
	struct crypto_shash *tfm = crypto_alloc_shash("sha256", 0, 0);
	u8 out[SHA256_DIGEST_SIZE], want[SHA256_DIGEST_SIZE];
	int ret;

	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	ret = digest(tfm, out);
	sha256("abc", 3, want);
	if (!ret && memcmp(out, want, sizeof(out)))
		ret = -EIO;
	crypto_free_shash(tfm);
	return ret;
}
