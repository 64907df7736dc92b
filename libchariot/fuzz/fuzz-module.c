// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A driver in a guest's memory, of which the input has changed some, and all that
 * is made of it: its parts, its tables, how it is recovered.
 */
#include "mini.h"
#include "policy.h"

/* A statement of each kind: the built-in policy takes fifty times as long. */
static const char small_text[] =
	"thunk-range __indirect_thunk_start __indirect_thunk_end\n"
	"thunk __x86_indirect_*\n"
	"inherit memcpy { check arg0 arg2 else arg0 }\n"
	"inherit memset strcpy strlen\n"
	"intr-range __entry_text_start __entry_text_end\n"
	"rule percpu(__preempt_count) 4\n"
	"rule percpu(pcpu_hot + offsetof(pcpu_hot.preempt_count)) 4\n"
	"rule current + offsetof(task_struct.flags) 4\n"
	"rule usb_hcds_loaded 8\n"
	"object task_struct, module { }\n"
	"object net_device { grant this sizeof(net_device); reach }\n"
	"gate kmalloc_trace { grant ret arg2 }\n"
	"gate kfree { revoke arg0 }\n"
	"entry net_device ethtool_stats u64 { grant arg2 arg1->ethtool_stats.n_stats * 8 }\n"
	"mode fast\n";
static struct chariot_policy *built_in, *small;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	mini_get(true);
	built_in = chariot_policy__load(NULL);
	small = policy_new();
	fuzz_assert(built_in && small &&
		    !policy_parse(small, "small", small_text, strlen(small_text)));
	return 0;
}

static void use(struct mini *m, struct chariot_driver *d, bool all)
{
	const struct chariot_symbol *v;
	struct chariot_tables *t;
	uint64_t off;
	size_t nr;

	v = chariot_driver__symbols(d, &nr);
	for (size_t i = 0; i < nr && i < 64; i++) {
		fuzz_touch_str(v[i].name);
		chariot_driver__name_of(d, v[i].gva + 1, &off);
	}
	v = chariot_driver__imports(d, &nr);
	for (size_t i = 0; i < nr && i < 64; i++)
		fuzz_touch_str(v[i].name);
	fuzz_touch_str(chariot_driver__name(d));
	t = chariot_tables__build(all ? built_in : small, m->profile, &m->g.space, d);
	fuzz_check_tables(t);
	chariot_tables__free(t);
}

static void recover(struct mini *m, const char *name, struct choices *c)
{
	struct chariot_recover r = {};
	uint32_t how = choose(c, 256);
	struct recover_module mod = {
		.name = name, .modules = name, .module = MINI_THIS,
		.slot = how >> 2, .several = how & 4, .restart = how & 1,
		.unbind = how & 2,
	};

	recover_prepare(&r, m->profile, &m->g.space, &mod);
	recover_prepare(&r, m->profile, &m->g.space, &mod);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	struct mini *m = mini_get(choose(&c, 2));
	const struct chariot_space *s = &m->g.space;
	uint32_t what = choose(&c, 256);
	uint64_t gva = MINI_AT(choose(&c, 32)) + 20;
	struct chariot_kernel k;
	struct chariot_driver *d;
	uint64_t deps[8];

	for (int i = 0; c.n > 2 && i < 200; i++)
		mini_poke_any(m, &c);
	if (what & 1)
		chariot_driver__find(m->profile, s, "no such");
	if (what & 2)
		driver_module_at(m->profile, s, gva);
	if (what & 8)
		chariot_profile__load_point(m->profile, s);
	if (driver_depends(m->profile, s, MINI_THIS, deps, 8) > 8)
		abort();
	chariot_profile__kernel(m->profile, s, &k);
	d = chariot_driver__from_guest(m->profile, s,
				       chariot_driver__find(m->profile, s,
							    "demo-drv") ?:
				       MINI_THIS);
	if (d)
		use(m, d, what >> 5 == 7);
	if (what & 16)
		recover(m, d ? chariot_driver__name(d) : "demo", &c);
	chariot_driver__free(d);
	mini_undo(m);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	uint8_t seed[40] = { 0, 127 };
	char name[16];

	emit("old", "\1\177", 2);
	emit("new", "\0\377", 2);
	for (int i = 0; i < 40; i++) {
		seed[0] = i & 1;
		for (size_t b = 2; b < sizeof(seed); b++)
			seed[b] = i * 37 + b * (2 * i + 1);
		snprintf(name, sizeof(name), "%d", i);
		emit(name, seed, sizeof(seed));
	}
}
