// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that write where the driver points them: to what is
 * another's, or over the end of an object of 64 bytes to the next one.
 */
#include <linux/etherdevice.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/time.h>

#include <net/netlink.h>

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

int stop_bin2hex(struct job *job)
{
	bin2hex((char *)target(job), bytes, 16);
	return 0;
}

int stop_hex2bin(struct job *job)
{
	TRY(hex2bin((u8 *)target(job), "00112233445566778899", 10));
	return 0;
}

int stop_unescape(struct job *job)
{
	char text[] = "\\x41\\x42\\n";

	string_unescape(text, (char *)target(job), 16, UNESCAPE_ANY);
	return 0;
}

/* ---- numbers ------------------------------------------------------------ */

static void number_past_end(u8 *mine)
{
	TRY(kstrtoint("1234", 10, (int *)(mine + CHARIOT_OBJ)));
}

int stop_kstrtoint_end(struct job *job)
{
	return with_pair(victim_cache(), CHARIOT_OBJ, number_past_end);
}

int stop_kstrtobool(struct job *job)
{
	TRY(kstrtobool("y", (bool *)target(job)));
	return 0;
}

/* It says where the number ends. */
int stop_strtoul(struct job *job)
{
	TRY(simple_strtoul("12k", (char **)target(job), 10));
	return 0;
}

int stop_get_option(struct job *job)
{
	char text[] = "5,6", *at = text;

	TRY(get_option(&at, (int *)target(job)));
	return 0;
}

int stop_mac_pton(struct job *job)
{
	TRY(mac_pton("52:54:00:12:34:56", (u8 *)target(job)));
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

static struct {
	struct nlattr	nla;
	char		text[92];
} attribute;

static const struct nlattr *new_attribute(void)
{
	attribute.nla.nla_len = sizeof(attribute);
	memset(attribute.text, 'x', sizeof(attribute.text));
	return &attribute.nla;
}

static void attribute_past_end(u8 *mine)
{
	TRY(nla_strscpy((char *)mine, new_attribute(), CHARIOT_OBJ + 24));
}

int stop_nla_strscpy_end(struct job *job)
{
	return with_pair(victim_cache(), CHARIOT_OBJ, attribute_past_end);
}

int stop_nla_memcpy(struct job *job)
{
	TRY(nla_memcpy((void *)target(job), new_attribute(), 32));
	return 0;
}

/* ---- data --------------------------------------------------------------- */

int stop_random_bytes(struct job *job)
{
	get_random_bytes((void *)target(job), 32);
	return 0;
}

int stop_time_to_tm(struct job *job)
{
	time64_to_tm(1700000000, 0, (struct tm *)target(job));
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

