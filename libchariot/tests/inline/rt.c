// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "rt.h"

#define IMAGE		0x50000000ULL
#define IMAGE_LEN	0x100000UL
#define PERCPU		0x7a000000ULL
#define FUNCTIONS	512

static const int uc_regs[] = {
	UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX, UC_X86_REG_RSP,
	UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI, UC_X86_REG_R8, UC_X86_REG_R9,
	UC_X86_REG_R10, UC_X86_REG_R11, UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14,
	UC_X86_REG_R15, UC_X86_REG_RFLAGS,
};
static const uint8_t delta[] = { 0, 4, 5, 9 };

static uint8_t image[IMAGE_LEN] __attribute__((aligned(4096)));

void rt_get(struct rt *rt, struct rt_regs *r)
{
	for (int i = 0; i < 17; i++)
		uc_reg_read(rt->uc, uc_regs[i], &r->r[i]);
}

void rt_set(struct rt *rt, const struct rt_regs *r)
{
	for (int i = 0; i < 17; i++)
		uc_reg_write(rt->uc, uc_regs[i], &r->r[i]);
}

uint64_t rt_read(struct rt *rt, uint64_t at)
{
	uint64_t v = 0;

	if (uc_mem_read(rt->uc, at, &v, 8))
		printf("# nothing at 0x%lx\n", (long)at);
	return v;
}

void rt_write(struct rt *rt, uint64_t at, uint64_t v)
{
	uc_mem_write(rt->uc, at, &v, 8);
}

uint64_t rt_rand(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

void rt_random_regs(struct rt_regs *r, uint64_t rsp)
{
	for (int i = 0; i < 16; i++)
		r->r[i] = rt_rand();
	r->r[RSP] = rsp;
	r->r[FLAGS] = 0x202 | (rt_rand() & 0x8d5);
}

/* ---- the driver ------------------------------------------------------------------- */

uint64_t rt_function(unsigned int n)
{
	return RT_DRIVER + 32 * n;
}

uint64_t rt_call_at(unsigned int n)
{
	return rt_function(n) + delta[n % 4];
}

uint64_t rt_behind(unsigned int n)
{
	return rt_call_at(n) + 5;
}

static void put_call(struct rt *rt, uint64_t at, uint64_t to)
{
	int32_t distance = to - (at + 5);

	uc_mem_write(rt->uc, at, "\xe8", 1);
	uc_mem_write(rt->uc, at + 1, &distance, 4);
}

uint64_t rt_check_behind(unsigned int slot)
{
	return RT_CHECKS + 32 * slot + 5;
}

uint64_t rt_check(struct rt *rt, unsigned int slot, unsigned int size)
{
	uint32_t number = 7 << 8 | size, nop = CHARIOT_INLINE_NOP;
	uint64_t at = RT_CHECKS + 32 * slot;

	put_call(rt, at, rt->runtime + slot * CHARIOT_INLINE_SLOT);
	uc_mem_write(rt->uc, at + 5, &nop, 3);
	uc_mem_write(rt->uc, at + 8, &number, 4);
	return at;
}

/* The last quarter always asks. */
static void put_functions(struct rt *rt)
{
	for (unsigned int n = 0; n < FUNCTIONS; n++)
		put_call(rt, rt_call_at(n), rt->runtime + 0x100 + 16 * (n % 4) +
			 (n >= FUNCTIONS / 4 * 3 ? 64 : 0));
}

/* ---- the kernel, and the host ---------------------------------------------------------- */

static void host(struct rt *rt)
{
	struct rt_regs r;

	rt_get(rt, &r);
	rt->asked++;
	rt->reason = r.r[RAX] - CHARIOT_HC;
	rt->frame_at = r.r[RSP];
	uc_mem_read(rt->uc, r.r[RSP], &rt->f, sizeof(rt->f));
	if (rt->change >= 0)
		rt_write(rt, r.r[RSP] + 8 * rt->change, 0x1234567);
	/* Whatever the host's registers are, nothing of them is left. */
	rt_random_regs(&r, r.r[RSP]);
	r.r[RAX] = rt->result;
	r.r[RDX] = rt->rdx;
	r.r[R8] = rt->r8;
	rt->result = 0;
	rt_set(rt, &r);
}

/* It keeps what a function has to. */
static void kernel(struct rt *rt)
{
	struct rt_regs r;

	rt_get(rt, &r);
	rt->called++;
	rt->seen = r;
	uc_mem_read(rt->uc, r.r[RSP], rt->seen_stack, sizeof(rt->seen_stack));
	for (int i = 0; i < 16; i++)
		if (i != RBX && i != RSP && i != RBP && i < 12)
			r.r[i] = rt_rand();
	r.r[RAX] = rt->returns;
	rt_set(rt, &r);
}

static void on_code(uc_engine *uc, uint64_t at, uint32_t size, void *ctx)
{
	struct rt *rt = ctx;

	rt->insns++;
	if (at == rt->runtime + rt->l->hypercall)
		host(rt);
	else if (at == RT_KERNEL)
		kernel(rt);
}

bool rt_go(struct rt *rt, uint64_t until, unsigned long insns)
{
	uint64_t rip;

	uc_reg_read(rt->uc, UC_X86_REG_RIP, &rip);
	return rt_run(rt, rip, until, insns);
}

bool rt_run(struct rt *rt, uint64_t at, uint64_t until, unsigned long insns)
{
	uc_err err = uc_emu_start(rt->uc, at, until, 0, insns ?: 10000);
	uint64_t rip;

	uc_reg_read(rt->uc, UC_X86_REG_RIP, &rip);
	if (!err && (insns || rip == until))
		return true;
	printf("# from 0x%lx: %s at 0x%lx\n", (long)at, uc_strerror(err), (long)rip);
	return false;
}

/* ---- the image ------------------------------------------------------------------------- */

static int load(struct rt *rt)
{
	size_t len;
	const void *file = chariot_inline__image(rt->x, &len);
	uint64_t base[64] = {}, at = 0;
	struct ko_file k;

	if (ko_file_read(&k, file, len) || k.nr_secs > 64)
		return -1;
	for (uint32_t i = 1; i < k.nr_secs; i++) {
		at = (at + 63) & ~63ULL;
		base[i] = IMAGE + at;
		if (k.secs[i].sh->sh_flags & SHF_ALLOC)
			at += k.secs[i].size;
		if (k.secs[i].data && k.secs[i].sh->sh_flags & SHF_ALLOC)
			memcpy(image + base[i] - IMAGE, k.secs[i].data, k.secs[i].size);
	}
	for (uint32_t n = 0; n < k.secs[rt->l->runtime].nr_rels; n++) {
		const struct ko_rel *r = &k.secs[rt->l->runtime].rels[n];
		uint64_t field = base[rt->l->runtime] + r->off;
		uint64_t v = r->target + (r->import ? RT_KERNEL : base[r->sec]);

		v -= r->type == R_X86_64_PLT32 ? field : 0;
		memcpy(image + field - IMAGE, &v, 4);
	}
	rt->runtime = base[rt->l->runtime];
	rt->data_gva = base[rt->l->data];
	rt->data = (void *)(image + base[rt->l->data] - IMAGE);
	rt->cache = (void *)(image + base[rt->l->cache] - IMAGE);
	ko_file_free(&k);
	return at < IMAGE_LEN ? 0 : -1;
}

struct chariot_inline_params rt_usual(const struct rt *rt)
{
	return (struct chariot_inline_params){
		.text = RT_DRIVER, .text_len = 0x10000, .stack_mask = ~(RT_STACK_SIZE - 1),
		.preempt_count = RT_PREEMPT };
}

void rt_params(struct rt *rt, const struct chariot_inline_params *p)
{
	uc_mem_write(rt->uc, rt->runtime + CHARIOT_INLINE_PARAMS, p, sizeof(*p));
	uc_ctl_remove_cache(rt->uc, rt->runtime, rt->runtime + 4096);
}

void rt_fill(struct rt *rt, enum chariot_inline_arm arm)
{
	uint8_t arms[1] = { arm };
	struct chariot_inline_fill f = { .sz = sizeof(f), .runtime = rt->runtime, .arms = arms,
					 .params = rt_usual(rt) };
	int32_t direct = RT_KERNEL - (rt->runtime + rt->l->gates[0].slot + 5);
	struct chariot_inline_write *w;
	size_t nr;

	if (chariot_inline__fill(rt->x, &f, &w, &nr))
		return;
	uc_mem_write(rt->uc, rt->runtime + rt->l->gates[0].slot + 1, &direct, 4);
	for (size_t i = 0; i < nr; i++)
		uc_mem_write(rt->uc, w[i].gva, w[i].bytes, w[i].len);
	uc_mem_write(rt->uc, rt->runtime + rt->l->hypercall, "\x0f\x1f\x00", 3);
	uc_ctl_remove_cache(rt->uc, rt->runtime, rt->runtime + 8192);
	free(w);
}

int rt_open(struct rt *rt)
{
	uint64_t len, gs = PERCPU;
	uint32_t count = RT_COUNT;
	void *ko = ko_make("48 83 ec 08 e8 K 48 83 c4 08 c3", true, &len);
	uc_hook h;

	memset(rt, 0, sizeof(*rt));
	rt->change = -1;
	rt->x = chariot_inline__rewrite(ko, len, NULL);
	free(ko);
	if (!rt->x || uc_open(UC_ARCH_X86, UC_MODE_64, &rt->uc))
		return -1;
	rt->l = chariot_inline__layout(rt->x);
	if (rt->l->nr_gates != 1 || load(rt) ||
	    uc_mem_map(rt->uc, RT_DRIVER, 0x20000, UC_PROT_ALL) ||
	    uc_mem_map_ptr(rt->uc, IMAGE, IMAGE_LEN, UC_PROT_ALL, image) ||
	    uc_mem_map(rt->uc, RT_STACKS, RT_NR_STACKS * RT_STACK_SIZE, 3) ||
	    uc_mem_map(rt->uc, RT_HEAP, 0x100000, 3) ||
	    uc_mem_map(rt->uc, PERCPU, 0x10000, 3) ||
	    uc_hook_add(rt->uc, &h, UC_HOOK_CODE, on_code, rt, 1, 0))
		return -1;
	uc_reg_write(rt->uc, UC_X86_REG_GS_BASE, &gs);
	uc_mem_write(rt->uc, PERCPU + RT_PREEMPT, &count, 4);
	uc_mem_write(rt->uc, RT_KERNEL, "\xc3", 1);
	put_functions(rt);
	rt_fill(rt, CHARIOT_INLINE_DIRECT);
	return 0;
}

void rt_close(struct rt *rt)
{
	if (rt->uc)
		uc_close(rt->uc);
	chariot_inline__free(rt->x);
}
