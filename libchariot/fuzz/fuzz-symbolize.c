// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Events of any bytes in words, with a guest of which the input has changed some.
 */
#include "mini.h"
#include "vm.h"

/* There is no /dev/chariot here. */
static int no_ioctl(int fd, unsigned long cmd, void *arg)
{
	errno = ENOTTY;
	return -1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	mini_get(true);
	vm_ioctl = no_ioctl;
	return 0;
}

/* Mostly one that means something. */
static uint64_t any_address(struct choices *c)
{
	switch (choose(c, 6)) {
	case 0:
		return choose_bytes(c, 8);
	case 1:
		return MINI_AT(0) + choose(c, 512);
	case 2:
		return MINI_AT(choose(c, MINI_PAGES)) + choose(c, 65536);
	case 3:
		return MINI_TEXT + choose_bytes(c, 3);
	case 4:
		return 0xffff888000138000 + choose(c, 128);
	default:
		return 0;
	}
}

static void any_event(struct chariot_event *ev, struct choices *c)
{
	memset(ev, 0, sizeof(*ev));
	for (size_t i = 0; i < sizeof(*ev) && c->n; i++)
		((uint8_t *)ev)[i] = choose_bytes(c, 1);
	ev->type %= 2 * CHARIOT_NR_EVENTS;
	if (ev->type == CHARIOT_EV_KERNEL)
		ev->u.kernel.rip = any_address(c);
	if (ev->type != CHARIOT_EV_VIOLATION &&
	    ev->type != CHARIOT_EV_UNEMULATED && ev->type != CHARIOT_EV_FAULT)
		return;
	ev->u.violation.rip = any_address(c);
	ev->u.violation.gva = any_address(c);
	ev->u.violation.caller = any_address(c);
	ev->u.violation.entry = any_address(c);
	ev->u.violation.why %= 2 * CHARIOT_NR_WHYS;
	for (int i = 0; i < 2; i++) {
		struct chariot_object *o = &ev->u.violation.near[i];

		o->gva = ev->u.violation.gva - 1024 + choose(c, 2048);
		o->site = any_address(c);
		o->gate = any_address(c);
		o->source %= 2 * CHARIOT_NR_SRCS;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	struct mini *m = mini_get(choose(&c, 2));
	struct chariot_vm vm = { .fd = -1, .space = m->g.space,
				 .profile = m->profile };
	size_t room = choose(&c, 256) * 4;
	struct chariot_event ev;
	char *buf = malloc(room);

	fuzz_assert(buf || !room);
	vm.tail = &vm.queue;
	/* As long as one may be. */
	memset(vm.names[1], 'x', sizeof(vm.names[1]) - 1);
	for (int n = choose(&c, 4); n; n--)
		mini_poke_any(m, &c);
	for (int n = 0; c.n && n < 4; n++) {
		any_event(&ev, &c);
		chariot_event_name(ev.type);
		chariot_verdict_name(ev.verdict);
		chariot_vm__describe(&vm, &ev, buf, room);
		if (room)
			fuzz_touch_str(buf);
		chariot_vm__symbolize(&vm, any_address(&c), buf, room);
		if (room)
			fuzz_touch_str(buf);
	}
	vm_forget_modules(&vm);
	free(buf);
	mini_undo(m);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	uint8_t seed[3 + sizeof(struct chariot_event) + 40] = {};
	struct chariot_event ev;
	char name[24];

	for (uint32_t type = 0; type <= CHARIOT_NR_EVENTS; type++)
		for (uint32_t why = 0; why < CHARIOT_NR_WHYS; why++) {
			memset(&ev, 0, sizeof(ev));
			ev.type = type;
			ev.domain = 1;
			ev.u.violation.why = why;
			ev.u.violation.len = 8;
			ev.u.violation.near[0].len = 64;
			ev.u.violation.near[0].source = 2;
			ev.u.violation.near[1].source = 1 + why;
			seed[0] = why;
			seed[1] = 100;
			memcpy(seed + 3, &ev, sizeof(ev));
			for (size_t i = 0; i < 40; i++)
				seed[3 + sizeof(ev) + i] = i + type;
			snprintf(name, sizeof(name), "%u-%u", type, why);
			emit(name, seed, sizeof(seed));
			if (type != CHARIOT_EV_VIOLATION)
				break;
		}
}
