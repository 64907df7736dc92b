// SPDX-License-Identifier: GPL-2.0
/*
 * Events of any bytes, as "chariot event" prints them: JSON and text.
 */
#include "mini.h"
#include "vm.h"
#undef ARRAY_SIZE
#include "cli.h"

static FILE *null;

/* A domain whose name the input has chosen. */
static char domain_name[CHARIOT_NAME_LEN];

static int some_ioctl(int fd, unsigned long cmd, void *arg)
{
	if (cmd == CHARIOT_DOMAIN_INFO && domain_name[0]) {
		memcpy(((struct chariot_domain_info *)arg)->name, domain_name,
		       sizeof(domain_name));
		return 0;
	}
	errno = ENOTTY;
	return -1;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	mini_get(false);
	vm_ioctl = some_ioctl;
	null = fopen("/dev/null", "w");
	return null ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct choices c = { data, len };
	struct mini *m = mini_get(false);
	struct chariot_vm vm = { .fd = -1, .space = m->g.space,
				 .profile = m->profile };
	struct chariot_event ev = {};
	FILE *was = stdout;
	struct json_object *o;

	vm.tail = &vm.queue;
	cli.color = choose(&c, 2);
	for (size_t i = 0; i < sizeof(domain_name); i++)
		domain_name[i] = choose_bytes(&c, 1);
	memcpy(&ev, c.p, c.n < sizeof(ev) ? c.n : sizeof(ev));
	ev.type %= 2 * CHARIOT_NR_EVENTS;
	o = event_json(&vm, &ev);
	stdout = null;
	event_print(cli.color ? NULL : "vm", o);
	out_line(o);
	fflush(null);
	stdout = was;
	json_object_put(o);
	vm_forget_modules(&vm);
	return 0;
}

void fuzz_seeds(fuzz_emit emit)
{
	uint8_t seed[1 + CHARIOT_NAME_LEN + sizeof(struct chariot_event)] = {};
	struct chariot_event ev = { .vcpu = 1, .domain = 2 };
	char name[16];

	for (uint32_t i = 0; i <= CHARIOT_NR_EVENTS; i++) {
		ev.type = i;
		ev.flags = i;
		memset(&ev.u, 0x41 + i, sizeof(ev.u));
		if (i & 1)
			ev.u.violation.rip = MINI_AT(0) + 20;
		seed[0] = i;
		memset(seed + 1, 'a' + i, i);
		memcpy(seed + 1 + CHARIOT_NAME_LEN, &ev, sizeof(ev));
		snprintf(name, sizeof(name), "%u", i);
		emit(name, seed, sizeof(seed));
	}
}
