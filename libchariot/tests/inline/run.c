// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Functions of a module and their instrumented selves, executed by Unicorn on the same
 * random state.  Kernel functions are made up: they return anything, and lose what a
 * function may lose.  This plays the runtime, too, or the host that it asks: it grants
 * lines as they are asked for, and loses what the runtime may lose.
 */
#include <Zydis/Zydis.h>
#include <chariot-inline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>

#include "check.h"

#define RETURN		0x3f000000UL	/* where the function returns to */
#define IMAGE		0x40000000UL	/* the original, and all data */
#define IMPORTS		0x48000000UL
#define POINTERS	0x4f000000UL	/* pv_ops: pointers to functions */
#define NEW		0x50000000UL
#define STACK		0x60000000UL
#define HEAP		0x61000000UL
#define PERCPU		0x7a000000UL
#define PERCPU_LEN	0x10000UL
#define THIS_CPU_OFF	0x7000
#define IMAGE_MAX	(32UL << 20)
#define STACK_LEN	0x20000UL
#define HEAP_LEN	(256UL << 12)
#define ENTRY_RSP	(STACK + 0x10008)
#define INSNS_MAX	3000
#define EVENTS_MAX	(1 << 17)
#define PREEMPT_COUNT	0x7100
#define LAZY_MAX	4096
#define DENY_MAX	10		/* of one run */
#define STOP_AFTER	400000		/* instructions of Unicorn's, with stubs */

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };
#define REG(r)	(1u << (r))
#define CALLER	(REG(RAX) | REG(RCX) | REG(RDX) | REG(RSI) | REG(RDI) | 0xf00)

static const int uc_regs[] = {
	UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX, UC_X86_REG_RSP,
	UC_X86_REG_RBP, UC_X86_REG_RSI, UC_X86_REG_RDI, UC_X86_REG_R8, UC_X86_REG_R9,
	UC_X86_REG_R10, UC_X86_REG_R11, UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14,
	UC_X86_REG_R15,
};

/* An instruction of the original. */
struct info {
	uint32_t use, def;
	uint8_t len;
	bool call, ret, trap, percpu, push;
	bool plain;		/* it does nothing but to store */
	uint32_t check;		/* number + 1 */
};

enum what { INSN, STORE, CALL, END };

struct event {
	uint8_t what, size;
	bool checked;		/* a store that has to be granted */
	uint32_t insn;		/* of a store: the event of its instruction */
	uint64_t at, value;
};

struct log {
	struct event *v;
	uint32_t nr;
	const char *end;
};

struct machine {
	const struct ko_file *old;
	struct ko_file new;
	const struct chariot_inline *x;
	const struct chariot_inline_check *checks;
	size_t nr_checks;
	uc_engine *uc;
	uint64_t *base, *new_base;	/* by section */
	const struct chariot_inline_layout *l;
	uint64_t cache, runtime, data, hypercall;
	uint32_t cache_lines;
	bool real;			/* the runtime is the image's */
	const char **imports;
	uint32_t nr_imports;
	struct info *info;		/* by address of the original */
	uint32_t *back;			/* by address of the new one: the same, + 1 */
	uint8_t *image[2], *memory, *heap, *stack, *import_code;
	uint64_t lens[2];
	uint64_t lazy[LAZY_MAX];
	uint32_t nr_lazy;
	/* of a run */
	struct log logs[2], *log;
	bool instrumented, stop;
	bool in_runtime;	/* the last instruction but for the kernel's */
	uint64_t seed, calls;
	uint32_t taint, insns;
	int64_t current;		/* address in the original, -1: none of its */
	uint32_t current_event;
	uint64_t deny, deny_len, granted, granted_len;
	uint32_t denied_check;
	bool leave_out;		/* what is denied, and go on */
	int64_t left_out;	/* of the original: the event that its instruction would be */
	struct inline_runs *r;
};

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ x >> 32;
}

static uint64_t any_pointer(uint64_t h)
{
	return HEAP + (h >> 8) % (HEAP_LEN - 0x2000);
}

/* Most objects begin with a line; some lie as they like. */
static uint64_t aligned_pointer(uint64_t h)
{
	return any_pointer(h) & (h & 7 ? ~63ULL : ~0ULL);
}

/* ---- the images ------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void find_imports(struct machine *m)
{
	m->imports = calloc(m->old->nr_syms + 1, sizeof(*m->imports));
	for (uint32_t i = 1; m->imports && i < m->old->nr_syms; i++)
		if (m->old->syms[i].st_shndx == SHN_UNDEF ||
		    m->old->syms[i].st_shndx >= m->old->nr_secs)
			m->imports[m->nr_imports++] = m->old->strings +
						      m->old->syms[i].st_name;
	qsort(m->imports, m->nr_imports, sizeof(*m->imports), by_name);
}

static uint64_t import_at(const struct machine *m, const char *name)
{
	const char **at;

	if (!strcmp(name, "pv_ops"))
		return POINTERS;
	at = bsearch(&name, m->imports, m->nr_imports, sizeof(*m->imports), by_name);
	return at ? IMPORTS + 16 * (at - m->imports) : IMPORTS;
}

static uint64_t place(const struct ko_section *s, uint64_t *at)
{
	uint64_t here = (*at + 63) & ~63ULL;

	if (!(s->sh->sh_flags & SHF_ALLOC))
		return 0;
	*at = here + s->size;
	return here;
}

static int lay_out(struct machine *m)
{
	uint64_t at = IMAGE, new_at = NEW;

	m->base = calloc(m->old->nr_secs, sizeof(*m->base));
	m->new_base = calloc(m->new.nr_secs, sizeof(*m->new_base));
	if (!m->base || !m->new_base)
		return -1;
	for (uint32_t i = 1; i < m->new.nr_secs; i++) {
		const struct ko_section *s = &m->new.secs[i];

		if (i < m->old->nr_secs)
			m->base[i] = place(&m->old->secs[i], &at);
		/* What is written does not share pages with code. */
		if (i >= m->old->nr_secs)
			new_at = (new_at + 4095) & ~4095ULL;
		if (i >= m->old->nr_secs || s->code)
			m->new_base[i] = place(s, &new_at);
		else
			m->new_base[i] = m->base[i];
	}
	m->cache = m->new_base[m->l->cache];
	m->cache_lines = m->l->cache_lines;
	m->runtime = m->new_base[m->l->runtime];
	m->data = m->new_base[m->l->data];
	m->hypercall = m->runtime + m->l->hypercall;
	m->lens[0] = (at - IMAGE + 8191) & ~4095ULL;
	m->lens[1] = (new_at - NEW + 8191) & ~4095ULL;
	return m->lens[0] > IMAGE_MAX || m->lens[1] > 2 * IMAGE_MAX ? -1 : 0;
}

/* Sections and relocations of @k, at @base, which are between @from and @to. */
static void load(struct machine *m, const struct ko_file *k, const uint64_t *base,
		 uint8_t *to, uint64_t from, uint64_t len)
{
	for (uint32_t i = 1; i < k->nr_secs; i++) {
		const struct ko_section *s = &k->secs[i];
		uint8_t *at = to + (base[i] - from);

		if (!base[i] || base[i] < from || base[i] >= from + len)
			continue;
		if (s->data)
			memcpy(at, s->data, s->size);
		for (uint32_t r = 0; r < s->nr_rels; r++) {
			const struct ko_rel *q = &s->rels[r];
			uint64_t v = q->target + (q->import ? import_at(m, q->import) :
						  base[q->sec]);

			if (q->type == R_X86_64_PC32 || q->type == R_X86_64_PLT32)
				v -= base[i] + q->off;
			if (q->type != R_X86_64_NONE)
				memcpy(at + q->off, &v, q->type == R_X86_64_64 ? 8 : 4);
		}
	}
}

static void note_operands(struct info *i, const ZydisDecodedInstruction *z,
			  const ZydisDecodedOperand *o)
{
	for (int k = 0; k < z->operand_count; k++) {
		ZydisRegister regs[] = { ZYDIS_REGISTER_NONE, ZYDIS_REGISTER_NONE };
		bool mem = o[k].type == ZYDIS_OPERAND_TYPE_MEMORY;

		regs[0] = mem ? o[k].mem.base : o[k].type == ZYDIS_OPERAND_TYPE_REGISTER ?
			  o[k].reg.value : ZYDIS_REGISTER_NONE;
		if (mem)
			regs[1] = o[k].mem.index;
		i->percpu |= mem && o[k].mem.segment == ZYDIS_REGISTER_GS &&
			     (o[k].mem.base == ZYDIS_REGISTER_NONE ||
			      o[k].mem.base == ZYDIS_REGISTER_RIP) &&
			     o[k].mem.index == ZYDIS_REGISTER_NONE;
		for (int n = 0; n < 2; n++) {
			int r = ZydisRegisterGetLargestEnclosing(
				ZYDIS_MACHINE_MODE_LONG_64, regs[n]) - ZYDIS_REGISTER_RAX;

			if (r < 0 || r > 15)
				continue;
			if (mem || o[k].actions & ZYDIS_OPERAND_ACTION_MASK_READ)
				i->use |= REG(r);
			if (!mem && o[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)
				i->def |= REG(r);
		}
	}
	if ((z->mnemonic == ZYDIS_MNEMONIC_XOR || z->mnemonic == ZYDIS_MNEMONIC_SUB) &&
	    o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && o[0].reg.value == o[1].reg.value)
		i->use = 0;
}

static void read_function(struct machine *m, const ZydisDecoder *d,
			  const struct chariot_inline_function *f)
{
	const struct ko_section *s = &m->old->secs[f->sec];
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction z;

	for (uint32_t off = f->off; off < f->off + f->len; off += z.length) {
		uint64_t at = m->base[f->sec] + off - IMAGE;
		struct info *i = &m->info[at];
		uint32_t sec, pos;

		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(d, s->data + off, s->size - off, &z, o)))
			return;
		i->len = z.length;
		i->call = z.meta.category == ZYDIS_CATEGORY_CALL;
		i->push = z.meta.category == ZYDIS_CATEGORY_PUSH ||
			  z.mnemonic == ZYDIS_MNEMONIC_PUSHFQ;
		i->ret = z.meta.category == ZYDIS_CATEGORY_RET;
		i->trap = z.mnemonic == ZYDIS_MNEMONIC_UD2 || z.mnemonic == ZYDIS_MNEMONIC_UD1 ||
			  z.mnemonic == ZYDIS_MNEMONIC_INT3;
		note_operands(i, &z, o);
		i->plain = !i->def && (!z.cpu_flags || !z.cpu_flags->modified);
		if (!chariot_inline__to_new(m->x, f->sec, off, true, &sec, &pos))
			m->back[m->new_base[sec] + pos - NEW] = at + 1;
	}
}

/* ---- what happens ------------------------------------------------------------------- */

static void stop(struct machine *m, const char *why)
{
	m->stop = true;
	m->log->end = why;
	uc_emu_stop(m->uc);
}

static void note(struct machine *m, enum what what, uint64_t at, uint64_t value,
		 unsigned int size, bool checked)
{
	if (m->log->nr >= EVENTS_MAX) {
		stop(m, "events");
		return;
	}
	m->log->v[m->log->nr++] = (struct event){ what, size, checked, m->current_event, at,
						  value };
}

/* An address in new code, as that of the original. */
static uint64_t canonical(const struct machine *m, uint64_t v)
{
	uint32_t sec, off;

	if (v < NEW || v >= NEW + m->lens[1])
		return v;
	for (uint32_t i = 1; i < m->new.nr_secs; i++)
		if (m->new.secs[i].code && m->new_base[i] <= v &&
		    v < m->new_base[i] + m->new.secs[i].size &&
		    !chariot_inline__to_old(m->x, i, v - m->new_base[i], &sec, &off))
			return m->base[sec] + off;
	return v;
}

static uint64_t get(const struct machine *m, int r)
{
	uint64_t v = 0;

	uc_reg_read(m->uc, uc_regs[r], &v);
	return v;
}

static void set(const struct machine *m, int r, uint64_t v)
{
	uc_reg_write(m->uc, uc_regs[r], &v);
}

static bool returns(const char *name)
{
	return !strstr(name, "panic") && strcmp(name, "__stack_chk_fail") &&
	       strcmp(name, "usercopy_abort") && !strstr(name, "kthread_exit") &&
	       !strstr(name, "complete_and_exit");
}

/* A kernel function: its arguments count, as far as somebody has set them. */
static void kernel_function(struct machine *m, uint64_t at)
{
	static const int args[] = { RDI, RSI, RDX, RCX, 8, 9 };
	uint32_t n = (at - IMPORTS) / 16;
	const char *name = n < m->nr_imports ? m->imports[n] : "";
	uint64_t h = 0;

	if (!strcmp(name, "__x86_return_thunk")) {
		if (m->in_runtime)
			return;
		m->taint |= CALLER & ~(REG(RAX) | REG(RDX));
		return;
	}
	if (!strcmp(name, "__fentry__"))
		return;
	for (int i = 0; i < 6; i++)
		if (!(m->taint & REG(args[i])))
			h = mix(h ^ canonical(m, get(m, args[i])) ^ (uint64_t)i << 56);
	note(m, CALL, n, h, 0, false);
	if (!returns(name)) {
		stop(m, "no return");
		return;
	}
	h = mix(m->seed ^ (uint64_t)n << 32 ^ m->calls++);
	set(m, RAX, h % 4 == 0 ? 0 : h % 4 == 1 ? h >> 8 & 15 : aligned_pointer(h));
	m->taint &= ~REG(RAX);
	/* Helpers in assembler keep the rest. */
	if (!strncmp(name, "__get_", 6) || !strncmp(name, "__put_", 6) ||
	    !strncmp(name, "preempt", 7) || !strncmp(name, "__SC", 4) ||
	    !strncmp(name, "__sw_", 5))
		return;
	for (int r = 1; r < 16; r++)
		if (CALLER & REG(r))
			set(m, r, mix(h + r) & 1 ? aligned_pointer(mix(h + r)) : mix(h + r) & 63);
	m->taint &= ~CALLER;
}

static bool overlaps(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return a < b + blen && b < a + alen;
}

/* Who has called the runtime and returns to @back. */
static const struct chariot_inline_check *check_of(struct machine *m, uint64_t back)
{
	const struct chariot_inline_check *c;
	uint32_t op = 0, number = 0;

	uc_mem_read(m->uc, back, &op, 3);
	uc_mem_read(m->uc, back + 3, &number, 4);
	c = &m->checks[number >> 8];
	if (op == CHARIOT_INLINE_NOP && number >> 8 < m->nr_checks &&
	    back == m->new_base[c->new_sec] + c->slow)
		return c;
	stop(m, "a call of the runtime from elsewhere");
	return NULL;
}

/* May it store?  Its line then goes to the cache. */
static bool grant(struct machine *m, const struct chariot_inline_check *c, uint64_t addr,
		  uint64_t len)
{
	uint64_t line = addr & ~63ULL;

	if (m->deny_len && overlaps(addr, len, m->deny, m->deny_len)) {
		m->denied_check = c - m->checks;
		if (!m->leave_out)
			stop(m, "denied");
		return false;
	}
	m->granted = addr;
	m->granted_len = len;
	if (c->kind == CHARIOT_INLINE_STRING ||
	    (m->deny_len && overlaps(line, 64, m->deny, m->deny_len)))
		return true;
	line |= 63;
	uc_mem_write(m->uc, m->cache + (addr >> 6) % m->cache_lines * 8, &line, 8);
	return true;
}

/* A check asks; the runtime may lose the address and flags. */
static void miss(struct machine *m, uint64_t at)
{
	uint32_t slot = (at - m->runtime) / CHARIOT_INLINE_SLOT;
	uint64_t back = 0, addr, len, flags = 2 | (mix(at ^ m->insns) & 0x8d5);
	const struct chariot_inline_check *c;

	m->r->misses++;
	uc_mem_read(m->uc, get(m, RSP), &back, 8);
	c = check_of(m, back);
	if (!c)
		return;
	addr = get(m, slot == CHARIOT_INLINE_RANGE ? RDI : (int)slot);
	len = slot == CHARIOT_INLINE_RANGE ? c->size * get(m, RCX) : c->size;
	if (!grant(m, c, addr, len) || slot == CHARIOT_INLINE_RANGE)
		return;
	set(m, slot, mix(addr));
	uc_reg_write(m->uc, UC_X86_REG_RFLAGS, &flags);
}

/* The runtime asks the host. */
static void host(struct machine *m)
{
	const struct chariot_inline_check *c;
	struct chariot_inline_frame f;
	uint64_t result = 0;

	if (uc_mem_read(m->uc, get(m, RSP), &f, sizeof(f)))
		return;
	switch ((uint32_t)get(m, RAX) - CHARIOT_HC) {
	case CHARIOT_HC_MISS:
	case CHARIOT_HC_RANGE:
		m->r->misses++;
		c = check_of(m, f.ret);
		if (!c || grant(m, c, f.what, c->kind == CHARIOT_INLINE_STRING ?
				c->size * f.r[RCX] : c->size))
			break;
		result = m->new_base[c->new_sec] + c->skip;
		m->deny_len = 0;
		break;
	case CHARIOT_HC_PRE:
	case CHARIOT_HC_POST:
		m->r->gates++;
		break;
	case CHARIOT_HC_ENTER:
		break;
	default:
		stop(m, "a hypercall");
	}
	set(m, RAX, result);
}

static void on_code(uc_engine *uc, uint64_t at, uint32_t size, void *ctx)
{
	struct machine *m = ctx;
	const struct info *i;
	int64_t old = -1;

	if (m->stop)
		return;
	m->current = -1;
	if (at >= IMPORTS && at < POINTERS)
		m->in_runtime &= m->instrumented;
	else
		m->in_runtime = at >= m->runtime && at < m->runtime + m->l->runtime_len;
	if (at == RETURN) {
		stop(m, "returned");
	} else if (at >= IMPORTS && at < POINTERS) {
		kernel_function(m, at);
	} else if (m->instrumented && m->real && at == m->hypercall) {
		host(m);
	} else if (m->instrumented && !m->real && at >= m->runtime && at < m->runtime + 256) {
		miss(m, at);
	} else if (at >= IMAGE && at < IMAGE + m->lens[0]) {
		old = at - IMAGE;
	} else if (at >= NEW && at < NEW + m->lens[1]) {
		old = (int64_t)m->back[at - NEW] - 1;
	} else {
		stop(m, "wild jump");
	}
	if (old < 0 || m->stop || !m->info[old].len)
		return;
	i = &m->info[old];
	if (!m->instrumented && m->left_out == m->log->nr) {
		uint64_t next = at + i->len;

		m->left_out = -1;
		uc_reg_write(uc, UC_X86_REG_RIP, &next);
		return;
	}
	m->current = old;
	m->current_event = m->log->nr;
	note(m, INSN, old, 0, 0, false);
	if (i->ret)
		m->taint |= CALLER & ~(REG(RAX) | REG(RDX));
	else if (!i->call && i->use & m->taint & ~i->def)
		m->taint |= i->def;
	else if (!i->call)
		m->taint &= ~i->def;
	if (i->trap)
		stop(m, "trap");
	else if (++m->insns > INSNS_MAX)
		stop(m, "long enough");
}

static bool in_cache(const struct machine *m, uint64_t at, unsigned int size)
{
	for (uint64_t line = at | 63; line < at + size + 63; line += 64) {
		uint64_t entry = 0;

		uc_mem_read(m->uc, m->cache + (line >> 6) % m->cache_lines * 8, &entry, 8);
		if (entry != line)
			return false;
	}
	/* The runtime knows of neighbours, too. */
	return m->real || (at & 63) + size <= 64;
}

static void on_write(uc_engine *uc, uc_mem_type type, uint64_t at, int size, int64_t value,
		     void *ctx)
{
	struct machine *m = ctx;
	bool stack = at >= STACK && at < ENTRY_RSP, own, checked;
	const struct info *i;

	if (m->stop)
		return;
	if (m->current < 0) {		/* a check saves registers, nothing else */
		if (!stack && !(m->real && at >= m->data && at < m->data +
				sizeof(struct chariot_inline_data)))
			stop(m, "a check has written");
		return;
	}
	i = &m->info[m->current];
	own = at >= IMAGE && at < IMAGE + m->lens[0];
	if (!i->call && !i->push)	/* below RSP is nobody's frame */
		stack &= at >= get(m, RSP);
	checked = !stack && !own && !i->percpu && !i->call;
	if (i->call)
		value = m->current + i->len;
	else
		value = i->use & m->taint ? 0 : canonical(m, value);
	note(m, STORE, at, value, size, checked);
	if (!checked || !m->instrumented)
		return;
	m->r->checked++;
	if (in_cache(m, at, size) || (at >= m->granted && at + size <= m->granted +
				      m->granted_len))
		return;
	printf("# a store to 0x%lx was not asked for, at 0x%lx\n", (long)at,
	       (long)m->current);
	m->r->passed++;
}

static bool on_unmapped(uc_engine *uc, uc_mem_type type, uint64_t at, int size,
			int64_t value, void *ctx)
{
	struct machine *m = ctx;
	bool good = false;

	if (type == UC_MEM_FETCH_UNMAPPED || at < 4096 || at >> 47)
		return false;
	for (int i = 0; i < 2 && m->nr_lazy < LAZY_MAX; i++) {
		uint64_t page = (at & ~4095ULL) + 4096 * i;

		if (uc_mem_map(uc, page, 4096, UC_PROT_READ | UC_PROT_WRITE))
			continue;
		m->lazy[m->nr_lazy++] = page;
		good = true;
	}
	return good;
}

/* ---- one run --------------------------------------------------------------------------- */

static void random_memory(struct machine *m)
{
	static const uint8_t zeros[4096];
	uint64_t *p = (uint64_t *)m->heap, gs = PERCPU, *pointers;

	for (size_t i = 0; i < HEAP_LEN / 8; i++) {
		uint64_t h = mix(m->seed + i);

		p[i] = (h & 7) < 3 ? aligned_pointer(h) : (h & 7) < 5 ? 0 :
		       (h & 7) == 5 ? h >> 20 & 255 : (h & 7) == 6 ? 1 : h >> 32;
	}
	p = (uint64_t *)m->stack;
	for (size_t i = 0; i < STACK_LEN / 8; i++)
		p[i] = mix(m->seed * 3 + i);
	for (uint32_t i = 0; i < m->nr_lazy; i++)
		uc_mem_write(m->uc, m->lazy[i], zeros, 4096);
	memset(m->import_code, 0xc3, 16 * m->nr_imports + 4096);
	pointers = calloc(1, 4096);
	for (size_t i = 0; pointers && i < 512; i++)
		pointers[i] = IMPORTS;
	uc_mem_write(m->uc, POINTERS, pointers, 4096);
	free(pointers);
	uc_reg_write(m->uc, UC_X86_REG_GS_BASE, &gs);
	for (uint64_t at = PERCPU; at < PERCPU + PERCPU_LEN; at += sizeof(zeros))
		uc_mem_write(m->uc, at, zeros, sizeof(zeros));
	uc_mem_write(m->uc, PERCPU + THIS_CPU_OFF, &gs, 8);
}

static void random_registers(struct machine *m)
{
	uint64_t flags = 2 | (mix(m->seed) & 0x8d5), ret = RETURN;

	for (int r = 0; r < 16; r++) {
		uint64_t h = mix(m->seed + 77 * r);

		set(m, r, h % 5 == 0 ? h >> 8 & 63 : h % 5 == 1 ? 0 : aligned_pointer(h));
	}
	for (int r = 0; r < 16; r++) {
		uint64_t v[4];

		for (int k = 0; k < 4; k++)
			v[k] = mix(m->seed * 5 + 4 * r + k);
		uc_reg_write(m->uc, UC_X86_REG_YMM0 + r, v);
	}
	set(m, RSP, ENTRY_RSP);
	uc_mem_write(m->uc, ENTRY_RSP, &ret, 8);
	uc_reg_write(m->uc, UC_X86_REG_RFLAGS, &flags);
}

static void run(struct machine *m, const struct chariot_inline_function *f, bool instrumented,
		uint64_t seed)
{
	static const int kept[] = { RAX, RBX, RSP, RBP, 12, 13, 14, 15 };
	uint64_t at = instrumented ? m->new_base[f->new_sec] + f->new_off :
				     m->base[f->sec] + f->off;
	uc_err err;

	m->log = &m->logs[instrumented];
	m->log->nr = 0;
	m->log->end = NULL;
	m->instrumented = instrumented;
	m->stop = false;
	m->seed = seed;
	m->calls = m->taint = m->insns = 0;
	m->current = -1;
	m->granted_len = 0;
	/* Of data each has its own: it has pointers to code. */
	memcpy(m->memory, m->image[instrumented], m->lens[0]);
	uc_mem_write(m->uc, NEW, m->image[1] + m->lens[0], m->lens[1]);
	random_memory(m);
	random_registers(m);
	err = uc_emu_start(m->uc, at, 0, 0, STOP_AFTER);
	if (!m->stop)
		m->log->end = err ? "fault" : "ran out";
	if (!strcmp(m->log->end, "returned"))
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			note(m, END, kept[i], canonical(m, get(m, kept[i])), 0, false);
}

static uint32_t same_events(const struct machine *m)
{
	const struct log *a = &m->logs[0], *b = &m->logs[1];
	uint32_t i = 0;

	for (; i < a->nr && i < b->nr; i++)
		if (a->v[i].what != b->v[i].what || a->v[i].at != b->v[i].at ||
		    a->v[i].value != b->v[i].value || a->v[i].size != b->v[i].size)
			break;
	return i;
}

static bool compare(struct machine *m, const struct chariot_inline_function *f)
{
	const struct log *a = &m->logs[0], *b = &m->logs[1];
	uint32_t n = same_events(m);

	m->r->events += n;
	if (n == a->nr && n == b->nr && !strcmp(a->end, b->end))
		return true;
	m->r->different++;
	if (m->r->different <= 8)
		printf("# %s: seed 0x%lx, differs at event %u of %u/%u (%s/%s): %d %lx %lx / "
		       "%d %lx %lx\n", f->name, (long)m->seed, n, a->nr, b->nr, a->end, b->end,
		       a->v[n].what, (long)a->v[n].at, (long)a->v[n].value, b->v[n].what,
		       (long)b->v[n].at, (long)b->v[n].value);
	return false;
}

/* ---- denial ---------------------------------------------------------------------------- */

/* The bytes of the original's store @n denied: stopped before what first touches them. */
static void deny(struct machine *m, const struct chariot_inline_function *f, uint32_t n)
{
	const struct event *v = m->logs[0].v, *first = NULL;
	const struct chariot_inline_check *c;
	uint32_t at;
	bool good;

	m->deny = v[n].at;
	m->deny_len = v[n].size;
	for (uint32_t i = 0; !first; i++)
		if (v[i].what == STORE && v[i].checked &&
		    overlaps(v[i].at, v[i].size, m->deny, m->deny_len))
			first = &v[i];
	/* A string instruction with a count is one for each time, and is stopped at once. */
	at = first->insn;
	while (at >= 2 && v[at - 2].what == INSN && v[at - 2].at == v[at].at &&
	       v[at - 1].what == STORE)
		at -= 2;
	run(m, f, true, m->seed);
	m->deny_len = 0;
	c = &m->checks[m->denied_check];
	if (c->kind == CHARIOT_INLINE_STORE)
		at = first->insn;
	good = !strcmp(m->logs[1].end, "denied") && m->logs[1].nr == at &&
	       same_events(m) == at && m->base[c->sec] + c->off - IMAGE == v[at].at;
	m->r->denied++;
	if (good)
		return;
	m->r->passed++;
	printf("# %s: seed 0x%lx, store to 0x%lx by 0x%lx is denied: %s, %u events for %u\n",
	       f->name, (long)m->seed, (long)first->at, (long)v[first->insn].at,
	       m->logs[1].end, m->logs[1].nr, at);
}

/* The same, but both leave that store out and go on. */
static void leave_out(struct machine *m, const struct chariot_inline_function *f, uint32_t n)
{
	const struct event *v = m->logs[0].v;
	uint64_t at = v[n].at, len = v[n].size;
	uint32_t first = v[n].insn;

	for (uint32_t i = 0; i < n; i++)
		if (v[i].what == STORE && v[i].checked && overlaps(v[i].at, v[i].size, at, len))
			return;
	if (!m->info[v[first].at].plain)
		return;
	m->left_out = first;
	run(m, f, false, m->seed);
	m->left_out = -1;
	m->deny = at;
	m->deny_len = len;
	m->leave_out = true;
	run(m, f, true, m->seed);
	m->leave_out = false;
	m->deny_len = 0;
	m->r->skipped++;
	compare(m, f);
	run(m, f, false, m->seed);
}

/* Each checked store of a run by its instruction, the first time. */
static void deny_all(struct machine *m, const struct chariot_inline_function *f)
{
	uint64_t done[DENY_MAX];
	uint32_t nr = 0;

	for (uint32_t i = 0; i < m->logs[0].nr && nr < DENY_MAX; i++) {
		const struct event *e = &m->logs[0].v[i];
		uint32_t k = 0;

		if (e->what != STORE || !e->checked)
			continue;
		while (k < nr && done[k] != m->logs[0].v[e->insn].at)
			k++;
		if (k < nr)
			continue;
		done[nr++] = m->logs[0].v[e->insn].at;
		deny(m, f, i);
		if (m->real)
			leave_out(m, f, i);
	}
}

/* ---- all of it ------------------------------------------------------------------------- */

static int open_machine(struct machine *m)
{
	size_t imports = (16 * m->nr_imports + 8191) & ~4095UL;
	uc_hook h[3];

	m->memory = aligned_alloc(4096, m->lens[0]);
	m->heap = aligned_alloc(4096, HEAP_LEN);
	m->stack = aligned_alloc(4096, STACK_LEN);
	m->import_code = aligned_alloc(4096, imports);
	m->image[0] = calloc(1, m->lens[0]);
	m->image[1] = calloc(1, m->lens[0] + m->lens[1]);
	m->info = calloc(m->lens[0], sizeof(*m->info));
	m->back = calloc(m->lens[1], sizeof(*m->back));
	for (int i = 0; i < 2; i++)
		m->logs[i].v = malloc(EVENTS_MAX * sizeof(struct event));
	if (!m->memory || !m->heap || !m->stack || !m->import_code || !m->image[0] ||
	    !m->image[1] || !m->info || !m->back || !m->logs[0].v || !m->logs[1].v ||
	    uc_open(UC_ARCH_X86, UC_MODE_64, &m->uc))
		return -1;
	return uc_mem_map(m->uc, RETURN, 4096, UC_PROT_READ | UC_PROT_EXEC) ||
	       uc_mem_map(m->uc, POINTERS, 4096, UC_PROT_ALL) ||
	       uc_mem_map(m->uc, PERCPU, PERCPU_LEN, UC_PROT_READ | UC_PROT_WRITE) ||
	       uc_mem_map(m->uc, NEW, m->lens[1], UC_PROT_ALL) ||
	       uc_mem_map_ptr(m->uc, IMAGE, m->lens[0], UC_PROT_ALL, m->memory) ||
	       uc_mem_map_ptr(m->uc, IMPORTS, imports, UC_PROT_ALL, m->import_code) ||
	       uc_mem_map_ptr(m->uc, STACK, STACK_LEN, 3, m->stack) ||
	       uc_mem_map_ptr(m->uc, HEAP, HEAP_LEN, 3, m->heap) ||
	       uc_hook_add(m->uc, &h[0], UC_HOOK_CODE, on_code, m, 1, 0) ||
	       uc_hook_add(m->uc, &h[1], UC_HOOK_MEM_WRITE, on_write, m, 1, 0) ||
	       uc_hook_add(m->uc, &h[2], UC_HOOK_MEM_UNMAPPED, on_unmapped, m, 1, 0);
}

static void close_machine(struct machine *m)
{
	if (m->uc)
		uc_close(m->uc);
	free(m->memory);
	free(m->heap);
	free(m->stack);
	free(m->import_code);
	free(m->image[0]);
	free(m->image[1]);
	free(m->info);
	free(m->back);
	free(m->logs[0].v);
	free(m->logs[1].v);
	free(m->imports);
	free(m->base);
	free(m->new_base);
	ko_file_free(&m->new);
}

/* and $-N,%rsp: what it does with its stack is worth a run. */
static bool aligns(const struct machine *m, const struct chariot_inline_function *f)
{
	static const uint8_t and[] = { 0x48, 0x83, 0xe4 };

	return memmem(m->old->secs[f->sec].data + f->off, f->len, and, sizeof(and));
}

static uint8_t *at_new(struct machine *m, uint64_t at)
{
	return m->image[1] + m->lens[0] + (at - NEW);
}

/* Gates of all kinds; what the hypercall is has no meaning here. */
static void fill_runtime(struct machine *m)
{
	uint8_t *arms = calloc(m->l->nr_gates + 1, 1);
	struct chariot_inline_fill f = {
		.sz = sizeof(f), .runtime = m->runtime, .arms = arms, .params = {
			.text = NEW, .text_len = m->lens[1], .stack_mask = ~(STACK_LEN - 1),
			.preempt_count = PREEMPT_COUNT,
		},
	};
	struct chariot_inline_write *w;
	size_t nr = 0;

	for (size_t i = 0; arms && i < m->l->nr_gates; i++)
		arms[i] = mix(i) % CHARIOT_INLINE_NR_ARMS;
	if (!arms || chariot_inline__fill(m->x, &f, &w, &nr))
		abort();
	for (size_t i = 0; i < nr; i++)
		memcpy(at_new(m, w[i].gva), w[i].bytes, w[i].len);
	memcpy(at_new(m, m->hypercall), "\x0f\x1f\x00", 3);
	free(w);
	free(arms);
}

static void load_all(struct machine *m, const struct chariot_inline_function *f, size_t nr)
{
	ZydisDecoder d;

	ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	load(m, m->old, m->base, m->image[0], IMAGE, m->lens[0]);
	load(m, &m->new, m->new_base, m->image[1], IMAGE, m->lens[0]);
	load(m, &m->new, m->new_base, m->image[1] + m->lens[0], NEW, m->lens[1]);
	if (m->real)
		fill_runtime(m);
	else
		memset(at_new(m, m->runtime), 0xc3, CHARIOT_INLINE_PARAMS);
	for (size_t i = 0; i < nr; i++)
		read_function(m, &d, &f[i]);
}

int inline_run(const struct ko_file *old, const struct chariot_inline *x, uint64_t seed,
	       bool real, unsigned int functions, unsigned int states,
	       struct inline_runs *r)
{
	struct machine m = { .old = old, .x = x, .r = r, .real = real, .left_out = -1,
			     .l = chariot_inline__layout(x) };
	const struct chariot_inline_function *f;
	unsigned int aligned = functions;
	size_t len, nr;
	const void *image = chariot_inline__image(x, &len);
	int err = ko_file_read(&m.new, image, len);

	f = chariot_inline__functions(x, &nr);
	m.checks = chariot_inline__checks(x, &m.nr_checks);
	if (!err)
		find_imports(&m);
	if (!err)
		err = lay_out(&m);
	if (!err)
		err = open_machine(&m);
	if (!err)
		load_all(&m, f, nr);
	for (size_t i = 0; i < nr && !err && functions + aligned; i++) {
		const struct chariot_inline_function *g = &f[(seed + i) % nr];
		unsigned int *left = functions ? &functions : &aligned;

		if (g->why || strstr(g->name, ".cold") || (!functions && !aligns(&m, g)))
			continue;
		(*left)--;
		r->functions++;
		r->aligned += aligns(&m, g);
		for (unsigned int s = 0; s < states; s++) {
			uint64_t with = mix(seed + 1000003 * i + s);

			r->runs++;
			run(&m, g, false, with);
			run(&m, g, true, with);
			if (compare(&m, g))
				deny_all(&m, g);
		}
	}
	close_machine(&m);
	return err;
}
