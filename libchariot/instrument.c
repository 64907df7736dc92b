// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mode inline: a driver whose image has been instrumented, from its delivery until its
 * domain is made.
 */
#include <chariot-inline.h>
#include <cpuid.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>

#include "instrument.h"
#include "place.h"

#define MADE_MAX	64
#define BYTES_MAX	(256UL << 20)	/* of their images */

/* ---- from the delivery until it is loaded -------------------------------------- */

struct made {
	struct made *next;
	char name[CHARIOT_NAME_LEN];
	struct chariot_inline *x;
};

struct instruments {
	struct made *made;	/* the newest first */
};

struct instruments *instruments_new(void)
{
	return calloc(1, sizeof(struct instruments));
}

void instruments_forget(struct instruments *v)
{
	struct made *m;

	while (v && (m = v->made)) {
		v->made = m->next;
		chariot_inline__free(m->x);
		free(m);
	}
}

void instruments_free(struct instruments *v)
{
	instruments_forget(v);
	free(v);
}

struct chariot_inline *instruments_take(struct instruments *v, const char *name)
{
	struct made **at = &v->made, *m;
	struct chariot_inline *x;

	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	m = *at;
	if (!m)
		return NULL;
	*at = m->next;
	x = m->x;
	free(m);
	return x;
}

/* The newest stays. */
static void forget_old(struct instruments *v)
{
	struct made **at = &v->made, *m;
	unsigned int n = 0;
	size_t bytes = 0, len;

	while ((m = *at)) {
		chariot_inline__image(m->x, &len);
		bytes += len;
		if (!n++ || (n <= MADE_MAX && bytes <= BYTES_MAX)) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		chariot_inline__free(m->x);
		free(m);
	}
}

static int keep(struct instruments *v, const char *name, struct chariot_inline *x)
{
	struct made *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	/* Another one of that name was not loaded after all. */
	chariot_inline__free(instruments_take(v, name));
	snprintf(m->name, sizeof(m->name), "%s", name);
	m->x = x;
	m->next = v->made;
	v->made = m;
	forget_old(v);
	return 0;
}

static bool host_is_amd(void)
{
	unsigned int eax, ebx = 0, ecx, edx;

	__get_cpuid(0, &eax, &ebx, &ecx, &edx);
	return ebx != signature_INTEL_ebx;
}

/*
 * Whatever becomes of us, the guest's driver runs: as long as nobody has a domain for it
 * its checks let everything pass, and its hypercall is one.
 */
static void make_harmless(const struct chariot_inline *x, uint8_t *image)
{
	const struct chariot_inline_layout *l = chariot_inline__layout(x);
	const Elf64_Ehdr *h = (void *)image;
	const Elf64_Shdr *s = (void *)(image + h->e_shoff);
	uint8_t *runtime = image + s[l->runtime].sh_offset;
	const uint64_t off = 1;

	memcpy(runtime + CHARIOT_INLINE_PARAMS + offsetof(struct chariot_inline_params, off),
	       &off, sizeof(off));
	memcpy(runtime + l->hypercall, host_is_amd() ? "\x0f\x01\xd9" : "\x0f\x01\xc1", 3);
}

void *instruments_make(struct instruments *v, const struct chariot_profile *p,
		       const char *name, const void *image, size_t len, size_t *new_len,
		       char *why)
{
	struct chariot_inline_opts o = {
		.sz = sizeof(o),
		.this_cpu_off = chariot_profile__symbol(p, "this_cpu_off") ?:
				CHARIOT_INLINE_NO_PERCPU,
	};
	struct chariot_inline *x = chariot_inline__rewrite(image, len, &o);
	struct chariot_inline_totals t;
	const void *made;
	void *copy;

	if (!x)
		return NULL;
	chariot_inline__totals(x, &t);
	if (t.refused) {
		sprintf(why, "%llu of its functions cannot be instrumented",
			(unsigned long long)t.refused);
		chariot_inline__free(x);
		return err_null(ENOTSUP);
	}
	made = chariot_inline__image(x, new_len);
	copy = malloc(*new_len);
	if (!copy || keep(v, name, x)) {
		free(copy);
		chariot_inline__free(x);
		return err_null(ENOMEM);
	}
	memcpy(copy, made, *new_len);
	make_harmless(x, copy);
	return copy;
}

/* ---- the runtime ---------------------------------------------------------------- */

static uint64_t gva_of(const struct places *p, uint32_t sec)
{
	return places_at(p, sec, 0);
}

static int find(struct places *out, const struct chariot_inline *x,
		const struct chariot_profile *p, const struct chariot_space *s,
		uint64_t module)
{
	size_t len;
	const void *image = chariot_inline__image(x, &len);

	return places_find(out, p, s, module, image, len);
}

static int fill(const struct chariot_inline *x, const struct chariot_space *s,
		struct chariot_inline_fill *f)
{
	struct chariot_inline_write *w;
	size_t nr;
	int err;

	f->sz = sizeof(*f);
	f->amd = host_is_amd();
	err = chariot_inline__fill(x, f, &w, &nr);
	if (err)
		return err;
	for (size_t i = 0; i < nr && !err; i++)
		err = chariot_space__write(s, w[i].gva, w[i].bytes, w[i].len);
	free(w);
	return err;
}

int instrument_off(struct chariot_inline *x, const struct chariot_profile *p,
		   const struct chariot_space *s, uint64_t module)
{
	struct chariot_inline_fill f = { .params.off = 1 };
	struct places places;
	int err = find(&places, x, p, s, module);

	if (err)
		return err;
	f.runtime = gva_of(&places, chariot_inline__layout(x)->runtime);
	err = f.runtime ? fill(x, s, &f) : -ENOENT;
	places_free(&places);
	return err;
}

/* ---- what DOMAIN_CREATE is told --------------------------------------------------- */

static int by_ret(const void *a, const void *b)
{
	const struct chariot_store *x = a, *y = b;

	return x->ret < y->ret ? -1 : x->ret > y->ret;
}

/* Where a store was in its function, + 1; 0: in none. */
static uint32_t origin(const struct chariot_inline_function *f, size_t nr,
		       const struct chariot_inline_check *k)
{
	size_t low = 0, high = nr, mid;

	/* The last one that does not begin behind it. */
	while (low < high) {
		mid = low + (high - low) / 2;
		if (f[mid].sec < k->sec ||
		    (f[mid].sec == k->sec && f[mid].off <= k->off))
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || f[low - 1].sec != k->sec || k->off - f[low - 1].off >= f[low - 1].len)
		return 0;
	return k->off - f[low - 1].off + 1;
}

static int add_stores(struct instrument *out, const struct places *places,
		      struct chariot_domain_create *c)
{
	const struct chariot_inline_function *f;
	const struct chariot_inline_check *k;
	size_t nr, nr_functions;

	k = chariot_inline__checks(out->x, &nr);
	if (nr > CHARIOT_MAX_STORES)
		return -E2BIG;
	out->stores = calloc(nr + 1, sizeof(*out->stores));
	if (!out->stores)
		return -ENOMEM;
	f = chariot_inline__functions(out->x, &nr_functions);
	for (size_t i = 0; i < nr; i++) {
		uint64_t ret = places_at(places, k[i].new_sec, k[i].slow);

		if (!ret)
			continue;
		out->stores[c->nr_stores++] = (struct chariot_store){
			.ret = ret,
			.rip = places_at(places, k[i].new_sec, k[i].store),
			.skip = places_at(places, k[i].new_sec, k[i].skip),
			.len = k[i].size, .pushed = k[i].pushed,
			.origin = origin(f, nr_functions, &k[i]),
		};
	}
	qsort(out->stores, c->nr_stores, sizeof(*out->stores), by_ret);
	c->stores = (uintptr_t)out->stores;
	return 0;
}

static const struct chariot_gate *find_gate(const struct chariot_tables *t, uint64_t gva)
{
	const struct chariot_gate *g = t->gates.v;

	for (size_t i = 0; i < t->gates.nr; i++)
		if (g[i].gva == gva)
			return &g[i];
	return NULL;
}

static bool is_lock(const struct chariot_domain_create *c, uint64_t gva)
{
	const struct chariot_lock *l = (void *)(uintptr_t)c->recover.locks;

	for (uint32_t i = 0; i < c->recover.nr_locks; i++)
		if (l[i].gva == gva)
			return true;
	return false;
}

/* Which of its calls the host is to see. */
static uint8_t arm_of(const struct chariot_tables *t, uint64_t gva)
{
	const struct chariot_gate *g = gva ? find_gate(t, gva) : NULL;
	const struct chariot_op *ops = t->ops.v;

	if (gva && is_lock(&t->create, gva))
		return CHARIOT_INLINE_BOTH;
	if (!g || !g->nr_ops)
		return CHARIOT_INLINE_DIRECT;
	for (uint32_t i = g->op; i < g->op + g->nr_ops; i++)
		if (ops[i].phase == CHARIOT_PHASE_POST)
			return CHARIOT_INLINE_BOTH;
	return CHARIOT_INLINE_PRE;
}

static int add_functions(struct instrument *out, const struct chariot_profile *p,
			 const struct chariot_driver *d, struct chariot_tables *t,
			 uint8_t *arms)
{
	const struct chariot_inline_layout *l = chariot_inline__layout(out->x);

	out->functions = calloc(l->nr_gates + 1, sizeof(*out->functions));
	if (!out->functions)
		return -ENOMEM;
	for (size_t i = 0; i < l->nr_gates; i++) {
		out->functions[i] = driver_address_of(d, p, l->gates[i].name);
		arms[i] = arm_of(t, out->functions[i]);
	}
	t->create.functions = (uintptr_t)out->functions;
	t->create.nr_functions = l->nr_gates;
	return 0;
}

/* [gva, gva + len) is not the driver's, though it is among its data. */
static int cut(struct chariot_tables *t, uint64_t gva, uint64_t len)
{
	struct chariot_range *r = t->ranges.v, *v;
	size_t nr = t->ranges.nr;

	v = calloc(2 * nr + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	t->ranges.nr = 0;
	for (size_t i = 0; i < nr; i++) {
		uint64_t end = r[i].gva + r[i].len;

		if ((r[i].kind != CHARIOT_RANGE_DATA && r[i].kind != CHARIOT_RANGE_INIT_DATA) ||
		    r[i].gva >= gva + len || end <= gva) {
			v[t->ranges.nr++] = r[i];
			continue;
		}
		if (r[i].gva < gva) {
			v[t->ranges.nr] = r[i];
			v[t->ranges.nr++].len = gva - r[i].gva;
		}
		if (end > gva + len) {
			v[t->ranges.nr] = r[i];
			v[t->ranges.nr].gva = gva + len;
			v[t->ranges.nr++].len = end - gva - len;
		}
	}
	free(t->ranges.v);
	t->ranges.v = v;
	t->ranges.room = 2 * nr + 1;
	t->create.ranges = (uintptr_t)v;
	t->create.nr_ranges = t->ranges.nr;
	return 0;
}

static void set_params(struct chariot_inline_params *params, const struct chariot_driver *d,
		       const struct chariot_kernel *k)
{
	const struct chariot_section *v;
	size_t nr;

	v = chariot_driver__sections(d, &nr);
	for (size_t i = 0; i < nr; i++) {
		if (v[i].kind == CHARIOT_RANGE_TEXT) {
			params->text = v[i].gva;
			params->text_len = v[i].len;
		} else if (v[i].kind == CHARIOT_RANGE_INIT_TEXT) {
			params->init = v[i].gva;
			params->init_len = v[i].len;
		}
	}
	params->stack_mask = ~(k->stack_size - 1);
	params->preempt_count = k->preempt_count;
}

static int add_image(struct instrument *out, const struct places *places,
		     struct chariot_tables *t)
{
	const struct chariot_inline_layout *l = chariot_inline__layout(out->x);
	struct chariot_domain_create *c = &t->create;
	int err;

	c->cache = gva_of(places, l->cache);
	c->data = gva_of(places, l->data);
	c->runtime = out->runtime = gva_of(places, l->runtime);
	c->left = places_at(places, l->runtime, l->left);
	c->cache_lines = l->cache_lines;
	c->runtime_len = l->runtime_len;
	if (!c->cache || !c->data || !c->runtime)
		return -ENOENT;
	err = cut(t, c->cache, places->v[l->cache].len);
	return err ?: cut(t, c->data, places->v[l->data].len);
}

int instrument_load(struct instrument *out, struct chariot_inline *x,
		    const struct chariot_profile *p, const struct chariot_space *s,
		    uint64_t module, const struct chariot_driver *d,
		    struct chariot_tables *t)
{
	size_t nr = chariot_inline__layout(x)->nr_gates;
	/* CREATE switches it on. */
	struct chariot_inline_fill f = { .params.off = 1 };
	uint8_t *arms = calloc(nr + 1, 1);
	struct places places;
	int err = arms ? find(&places, x, p, s, module) : -ENOMEM;

	*out = (struct instrument){ .x = x };
	if (!err) {
		err = add_image(out, &places, t) ?: add_stores(out, &places, &t->create) ?:
		      add_functions(out, p, d, t, arms);
		places_free(&places);
	}
	if (!err) {
		f.runtime = out->runtime;
		f.arms = arms;
		set_params(&f.params, d, &t->create.kernel);
		err = fill(x, s, &f);
	}
	free(arms);
	return err;
}

void instrument_free(struct instrument *i)
{
	free(i->stores);
	free(i->functions);
	memset(i, 0, sizeof(*i));
}
