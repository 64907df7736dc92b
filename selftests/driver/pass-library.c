// SPDX-License-Identifier: GPL-2.0
/*
 * Structures of the kernel's library: it allocates into a member of the
 * driver's object, or links the driver's objects to one another.
 */
#include <linux/completion.h>
#include <linux/kfifo.h>
#include <linux/percpu-refcount.h>
#include <linux/rhashtable.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "conform.h"

/* kfifo_alloc() writes where its buffer is into our member. */
int pass_kfifo(struct job *job)
{
	DECLARE_KFIFO_PTR(fifo, u32);
	u32 in[3] = { 2, 3, 4 }, out[4] = {};
	int ret = kfifo_alloc(&fifo, 64, GFP_KERNEL);

	if (ret)
		return ret;
	if (!kfifo_put(&fifo, 1) || kfifo_in(&fifo, in, 3) != 3)
		ret = -EIO;
	else if (kfifo_out(&fifo, out, 4) != 4 || out[0] != 1 || out[3] != 4)
		ret = -EIO;
	kfifo_free(&fifo);
	return ret;
}

/* A ring that is in our object, behind its indices. */
int pass_kfifo_embedded(struct job *job)
{
	static struct {
		u64 before;
		DECLARE_KFIFO(fifo, u8, 32);
		u64 after;
	} ring = { .before = CHARIOT_MARK, .after = CHARIOT_MARK };
	u8 out[32];
	int i;

	INIT_KFIFO(ring.fifo);
	for (i = 0; i < 40; i++)
		if (kfifo_put(&ring.fifo, i) != (i < 32))
			return -EIO;
	if (kfifo_out(&ring.fifo, out, sizeof(out)) != 32 || out[31] != 31)
		return -EIO;
	return ring.before == CHARIOT_MARK && ring.after == CHARIOT_MARK ?
	       0 : -EIO;
}

struct counted {
	struct percpu_ref	ref;
	struct completion	released;
};

static void counted_release(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct counted, ref)->released);
}

/* Its counters are per-CPU memory that percpu_ref_init() has allocated. */
int pass_percpu_ref(struct job *job)
{
	struct counted *c = kzalloc(sizeof(*c), GFP_KERNEL);
	int ret;

	if (!c)
		return -ENOMEM;
	init_completion(&c->released);
	ret = percpu_ref_init(&c->ref, counted_release, 0, GFP_KERNEL);
	if (ret)
		goto out;
	percpu_ref_get(&c->ref);
	if (!percpu_ref_tryget_live(&c->ref))
		ret = -EIO;
	else
		percpu_ref_put(&c->ref);
	percpu_ref_kill(&c->ref);
	if (completion_done(&c->released))
		ret = -EIO;
	percpu_ref_put(&c->ref);
	wait_for_completion(&c->released);
	percpu_ref_exit(&c->ref);
out:
	kfree(c);
	return ret;
}

struct hashed {
	u32			key;
	u32			val;
	struct rhash_head	node;
	struct rcu_head		rcu;
};

static const struct rhashtable_params hashed_params = {
	.key_len	= sizeof(u32),
	.key_offset	= offsetof(struct hashed, key),
	.head_offset	= offsetof(struct hashed, node),
	.automatic_shrinking = true,
};

static int hash_one(struct rhashtable *table, u32 key)
{
	struct hashed *h = kmalloc(sizeof(*h), GFP_KERNEL);
	int ret;

	if (!h)
		return -ENOMEM;
	h->key = key;
	h->val = ~key;
	ret = rhashtable_insert_fast(table, &h->node, hashed_params);
	if (ret)
		kfree(h);
	return ret;
}

static int unhash_one(struct rhashtable *table, u32 key)
{
	struct hashed *h = rhashtable_lookup_fast(table, &key, hashed_params);
	int ret = h && h->val == ~key ? 0 : -ENOENT;

	if (!ret)
		ret = rhashtable_remove_fast(table, &h->node, hashed_params);
	if (!ret)
		kfree_rcu(h, rcu);
	return ret;
}

static void hashed_free(void *p, void *arg)
{
	kfree(p);
}

/* So many that the table grows, which a worker does. */
int pass_rhashtable(struct job *job)
{
	struct rhashtable table;
	int ret = rhashtable_init(&table, &hashed_params);
	u32 key;

	if (ret)
		return ret;
	for (key = 0; key < 200 && !ret; key++)
		ret = hash_one(&table, key);
	for (key = 0; key < 200 && !ret; key += 2)
		ret = unhash_one(&table, key);
	if (!ret && atomic_read(&table.nelems) != 100)
		ret = -EIO;
	rhashtable_free_and_destroy(&table, hashed_free, NULL);
	return ret;
}

static int check_table(struct sg_table *table, u8 *from, u8 *to, size_t len)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(table, sg, i)
		sg_set_buf(sg, to + i * 32, 32);
	if (sg_copy_from_buffer(table->sgl, table->nents, from, len) != len)
		return -EIO;
	return memcmp(from, to, len) ? -EIO : 0;
}

static int try_table(unsigned int nents)
{
	size_t len = nents * 32;
	u8 *from = kmalloc(len, GFP_KERNEL);
	u8 *to = kzalloc(len, GFP_KERNEL);
	struct sg_table table = {};
	int ret = from && to ? sg_alloc_table(&table, nents, GFP_KERNEL) :
		  -ENOMEM;

	if (!ret) {
		memset(from, 0x5a, len);
		ret = check_table(&table, from, to, len);
		sg_free_table(&table);
	}
	kfree(from);
	kfree(to);
	return ret;
}

/* A table of one array, and one of several that are chained. */
int pass_sg_table(struct job *job)
{
	int ret = try_table(2);

	return ret ? ret : try_table(300);
}
