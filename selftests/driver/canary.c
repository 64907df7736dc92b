// SPDX-License-Identifier: GPL-2.0
/*
 * chariot_canary: memory of the kernel that nobody may write, between the
 * objects of drivers that are loaded later.
 *
 *	insmod chariot_canary.ko [objects=N]
 *	cat /proc/chariot_canary
 *
 * Of each size of kmalloc(), and of pages, twice as many as are kept are
 * allocated, and every second one is freed: a driver gets those.  What is kept
 * has a pattern that depends on its address.  Reading the file says
 *
 *	canary ok N objects
 *
 * or a line for each object that is damaged, at most 20, with the first wrong
 * byte, and how many objects are:
 *
 *	canary bad SIZE ADDRESS +OFFSET expected XX found YY
 *	canary bad TOTAL
 *
 * A damaged kernel is what it is for: it reads without faults, and an entry of
 * its own table that is damaged is "canary bad 0 ...", not believed, and not
 * freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/gfp.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define NAME		"chariot_canary"
#define PLENTY		512		/* bytes: fewer of what is larger */
#define FEWEST		4
#define MOST		4096U
#define LINES		20

static unsigned int objects = 32;
module_param(objects, uint, 0444);
MODULE_PARM_DESC(objects, "canaries of each size");

/* Orders of pages are below the sizes: 0 and 1. */
#define ORDERS		2

static const unsigned int sizes[] = {
	0, 1, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192,
};

struct canary {
	u64 *data;
	u32 size;		/* as in sizes[] */
	u32 check;		/* is this entry as it was made? */
};

static struct canary *canaries;
static unsigned int nr_canaries;

static u32 entry_check(const struct canary *c)
{
	return hash_64((unsigned long)c->data ^ (u64)c->size << 48, 32);
}

static size_t bytes_of(u32 size)
{
	return size < ORDERS ? PAGE_SIZE << size : size;
}

/* hash_64() has 32 bits only. */
static u64 pattern(const u64 *at)
{
	u64 x = (unsigned long)at * GOLDEN_RATIO_64;

	return x ^ x >> 32;
}

static unsigned int nr_of(u32 size)
{
	size_t bytes = bytes_of(size);

	if (bytes <= PLENTY)
		return objects;
	return max_t(unsigned int, objects * PLENTY / bytes, FEWEST);
}

/* ---- made and freed ----------------------------------------------------- */

static u64 *get_memory(u32 size)
{
	if (size < ORDERS)
		return (u64 *)__get_free_pages(GFP_KERNEL, size);
	return kmalloc(size, GFP_KERNEL);
}

static void put_memory(u32 size, u64 *data)
{
	if (size < ORDERS)
		free_pages((unsigned long)data, size);
	else
		kfree(data);
}

static void keep(u32 size, u64 *data)
{
	struct canary c = { .data = data, .size = size };
	size_t i;

	for (i = 0; i < bytes_of(size) / sizeof(*data); i++)
		data[i] = pattern(&data[i]);
	c.check = entry_check(&c);
	canaries[nr_canaries++] = c;
}

/* Nothing is freed before all are there: it would be allocated again. */
static int make(u32 size, u64 **got)
{
	unsigned int nr = 2 * nr_of(size), i;
	int err = 0;

	for (i = 0; i < nr; i++) {
		got[i] = get_memory(size);
		if (!got[i])
			err = -ENOMEM;
	}
	for (i = 0; i < nr; i++)
		if (got[i] && i % 2 && !err)
			keep(size, got[i]);
		else if (got[i])
			put_memory(size, got[i]);
	return err;
}

static bool entry_is_good(const struct canary *c)
{
	return c->check == entry_check(c);
}

static void free_all(void)
{
	unsigned int i;

	for (i = 0; i < nr_canaries; i++)
		if (entry_is_good(&canaries[i]))
			put_memory(canaries[i].size, canaries[i].data);
	vfree(canaries);
}

static int make_all(void)
{
	unsigned int i, total = 0;
	u64 **got;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		total += nr_of(sizes[i]);
	canaries = vmalloc(array_size(total, sizeof(*canaries)));
	got = vmalloc(array_size(2 * max(objects, (unsigned int)FEWEST), sizeof(*got)));
	if (!canaries || !got)
		err = -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(sizes) && !err; i++)
		err = make(sizes[i], got);
	vfree(got);
	if (err)
		free_all();
	return err;
}

/* ---- looked at ---------------------------------------------------------- */

static void show_bad(struct seq_file *m, const struct canary *c, size_t offset,
		     u8 expected, u8 found)
{
	seq_printf(m, "canary bad %zu %px +%zu expected %02x found %02x\n",
		   bytes_of(c->size), c->data, offset, expected, found);
}

static size_t first_byte(u64 a, u64 b)
{
	return __ffs64(a ^ b) / 8;
}

/* Is it good? If not, the first wrong byte is told to @m, if there is one. */
static bool look(struct seq_file *m, const struct canary *c)
{
	size_t i, byte;
	u64 word, want;

	for (i = 0; i < bytes_of(c->size) / sizeof(word); i++) {
		want = pattern(&c->data[i]);
		if (copy_from_kernel_nofault(&word, &c->data[i], sizeof(word)))
			word = ~want;
		if (word == want)
			continue;
		byte = first_byte(word, want);
		if (m)
			show_bad(m, c, i * sizeof(word) + byte,
				 want >> 8 * byte, word >> 8 * byte);
		return false;
	}
	return true;
}

static bool look_at_entry(struct seq_file *m, const struct canary *at)
{
	struct canary c;

	if (!copy_from_kernel_nofault(&c, at, sizeof(c)) && entry_is_good(&c))
		return look(m, &c);
	if (m)
		seq_printf(m, "canary bad 0 %px +0 expected 00 found 00\n", at);
	return false;
}

static int show(struct seq_file *m, void *v)
{
	unsigned int i, bad = 0;

	for (i = 0; i < nr_canaries; i++)
		if (!look_at_entry(bad < LINES ? m : NULL, &canaries[i]))
			bad++;
	if (bad)
		seq_printf(m, "canary bad %u\n", bad);
	else
		seq_printf(m, "canary ok %u objects\n", nr_canaries);
	return 0;
}

static int __init canary_init(void)
{
	int err;

	objects = clamp(objects, 1U, MOST);
	err = make_all();
	if (err)
		return err;
	if (proc_create_single(NAME, 0444, NULL, show))
		return 0;
	free_all();
	return -ENOMEM;
}
module_init(canary_init);

static void __exit canary_exit(void)
{
	remove_proc_entry(NAME, NULL);
	free_all();
}
module_exit(canary_exit);

MODULE_DESCRIPTION("Chariot: memory that must stay as it is");
MODULE_LICENSE("GPL");
