// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin for L1's QEMU, under TCG with one CPU: counts the instructions that
 * L1 and its guests execute.  Whoever executes MARK, in L1 or in a guest, has
 * the count so far written to the file, a line each time.
 *
 *	-plugin insns.so,out=FILE
 */
#include <inttypes.h>
#include <qemu-plugin.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

/* nopl 0x43484152(%rax), as in driver/bench.c */
static const unsigned char MARK[] = { 0x0f, 0x1f, 0x80, 'R', 'A', 'H', 'C' };
static FILE *file;

/* QEMU's interface has changed: counters (9.0) and the bytes of an instruction (9.1). */
#if QEMU_PLUGIN_VERSION >= 2
static qemu_plugin_u64 counter;

static void count_init(void)
{
	counter = qemu_plugin_scoreboard_u64(
		qemu_plugin_scoreboard_new(sizeof(uint64_t)));
}

static uint64_t count(void)
{
	return qemu_plugin_u64_sum(counter);
}

static void count_insn(struct qemu_plugin_insn *insn)
{
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
		insn, QEMU_PLUGIN_INLINE_ADD_U64, counter, 1);
}
#else
static uint64_t counter;

static void count_init(void) { }

static uint64_t count(void)
{
	return counter;
}

static void count_insn(struct qemu_plugin_insn *insn)
{
	qemu_plugin_register_vcpu_insn_exec_inline(
		insn, QEMU_PLUGIN_INLINE_ADD_U64, &counter, 1);
}
#endif

static bool is_mark(struct qemu_plugin_insn *insn)
{
	if (qemu_plugin_insn_size(insn) != sizeof(MARK))
		return false;
#if QEMU_PLUGIN_VERSION >= 3
	unsigned char bytes[sizeof(MARK)];

	return qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) == sizeof(MARK) &&
	       !memcmp(bytes, MARK, sizeof(MARK));
#else
	return !memcmp(qemu_plugin_insn_data(insn), MARK, sizeof(MARK));
#endif
}

static void on_mark(unsigned int vcpu, void *unused)
{
	(void)vcpu, (void)unused;
	fprintf(file, "%" PRIu64 "\n", count());
	fflush(file);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct qemu_plugin_insn *insn;

	(void)id;
	for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		count_insn(insn);
		if (is_mark(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, on_mark, QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
					   const qemu_info_t *info, int argc,
					   char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	file = fopen(argv[0] + 4, "w");
	if (!file)
		return -1;
	count_init();
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
