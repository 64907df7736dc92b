// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that write where the driver points them: to what is
 * another's, or over the end of an object of 64 bytes to the next one.
 */
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "conform.h"

/* One that is stopped may fail, or not. */
#define TRY(_call) do { if ((long)(_call) < 0) pr_debug("fails\n"); } while (0)

static u8 bytes[32] = { [0 ... 31] = 0xee };

/* ---- text --------------------------------------------------------------- */

int stop_strncpy(struct job *job)
{
	const char *from = "a string of the driver";

	OPTIMIZER_HIDE_VAR(from);
	strncpy((char *)target(job), from, 40);
	return 0;
}

/* ---- structures --------------------------------------------------------- */

static void table_past_end(u8 *mine)
{
	sg_init_table((struct scatterlist *)mine,
		      2 * CHARIOT_OBJ / sizeof(struct scatterlist));
}

int stop_sg_init_end(struct job *job)
{
	return with_pair(victim_cache(), CHARIOT_OBJ, table_past_end);
}

/* ---- data --------------------------------------------------------------- */

int stop_random_bytes(struct job *job)
{
	get_random_bytes((void *)target(job), 32);
	return 0;
}

int stop_from_io(struct job *job)
{
	memcpy_fromio((void *)target(job), (void __iomem *)bytes, 32);
	return 0;
}

int stop_skb_copy(struct job *job)
{
	struct sk_buff *skb = alloc_skb(64, GFP_KERNEL);

	if (!skb)
		return -ENOMEM;
	skb_put_data(skb, bytes, sizeof(bytes));
	TRY(skb_copy_bits(skb, 0, (void *)target(job), sizeof(bytes)));
	kfree_skb(skb);
	return 0;
}

