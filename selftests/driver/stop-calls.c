// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that write where the driver points them: to what is
 * another's, or over the end of an object of 64 bytes to the next one.
 */
#include <linux/bitmap.h>
#include <linux/if_ether.h>
#include <linux/inet.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/random.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/time.h>
#include <linux/uuid.h>
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
#ifdef HAVE_STRNCPY
	strncpy((char *)target(job), from, 40);
#else
	strscpy_pad((char *)target(job), from, 40);
#endif
	return 0;
}

/* The compiler makes sprintf("%s") a memcpy(). */
static void print_past_end(u8 *mine)
{
	sprintf(mine + CHARIOT_OBJ - 4, "%08x", 0x12345678);
}

int stop_sprintf_end(struct job *job)
{
	return with_pair(NULL, CHARIOT_OBJ, print_past_end);
}

int stop_bin2hex(struct job *job)
{
	bin2hex((char *)target(job), bytes, 16);
	return 0;
}

int stop_hex2bin(struct job *job)
{
	TRY(hex2bin((u8 *)target(job), "00112233445566778899aabbccddeeff", 16));
	return 0;
}

int stop_unescape(struct job *job)
{
	char from[] = "a\\tstring\\nof the driver";

	TRY(string_unescape(from, (char *)target(job), 40, UNESCAPE_ANY));
	return 0;
}

/* ---- numbers ------------------------------------------------------------ */

int stop_kstrtoint(struct job *job)
{
	TRY(kstrtoint("1234", 10, (int *)target(job)));
	return 0;
}

int stop_kstrtobool(struct job *job)
{
	TRY(kstrtobool("yes", (bool *)target(job)));
	return 0;
}

int stop_simple_strtoul(struct job *job)
{
	TRY(simple_strtoul("1234", (char **)target(job), 10));
	return 0;
}

int stop_memparse(struct job *job)
{
	TRY(memparse("12M", (char **)target(job)));
	return 0;
}

int stop_get_option(struct job *job)
{
	char from[] = "77,78", *at = from;

	TRY(get_option(&at, (int *)target(job)));
	return 0;
}

int stop_sscanf(struct job *job)
{
	TRY(sscanf("77", "%d", (int *)target(job)));
	return 0;
}

int stop_bitmap_parselist(struct job *job)
{
	TRY(bitmap_parselist("0-7", (unsigned long *)target(job), 64));
	return 0;
}

int stop_mac_pton(struct job *job)
{
	TRY(mac_pton("01:23:45:67:89:ab", (u8 *)target(job)));
	return 0;
}

int stop_in4_pton(struct job *job)
{
	TRY(in4_pton("10.1.2.3", -1, (u8 *)target(job), -1, NULL));
	return 0;
}

int stop_guid_parse(struct job *job)
{
	TRY(guid_parse("00112233-4455-6677-8899-aabbccddeeff",
		       (guid_t *)target(job)));
	return 0;
}

int stop_time_to_tm(struct job *job)
{
	time64_to_tm(0x12345678, 0, (struct tm *)target(job));
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
	struct nlattr nla;
	char text[32];
} attr = {
	.nla = { .nla_len = NLA_HDRLEN + 32 },
	.text = "a string of the driver",
};

int stop_nla_strscpy(struct job *job)
{
	TRY(nla_strscpy((char *)target(job), &attr.nla, 40));
	return 0;
}

int stop_nla_memcpy(struct job *job)
{
	TRY(nla_memcpy((void *)target(job), &attr.nla, 32));
	return 0;
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

