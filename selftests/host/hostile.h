/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Limits that have a name in the uapi header, or will. */
#ifndef CHARIOT_MAX_FRAMES
#define CHARIOT_MAX_FRAMES	8192
#endif
#ifndef CHARIOT_MAX_CHECKS
#define CHARIOT_MAX_CHECKS	64
#endif
#ifndef CHARIOT_MAX_MEMORY
#define CHARIOT_MAX_MEMORY	(256ull << 20)
#endif

/* How long something may take that nothing should hold up, on any machine. */
extern unsigned int patience;
/* What to load again when a test has unloaded it; NULL: not known. */
extern const char *module_path;

/* One TAP line. */
__attribute__((format(printf, 2, 3)))
void ok(bool good, const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void note(const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void skip(const char *fmt, ...);

/* life.c */
void test_close_emulating(void);
void test_attach_emulating(void);
void test_create_stalled(void);
void test_close_stalled(void);
void test_act_read_stalled(void);
void test_kill_stalled(void);
void test_rmmod_stalled(void);
void test_close_interrupted(void);
void test_slot_anew(void);
void test_zap_slot(void);

/* bound.c */
void test_frames(void);
void test_parked(void);
void test_checks(void);
void test_memory_grant(void);
void test_memory_driver(void);
void test_create_fails(void);

/* driver.c */
void test_intr_frame(void);
void test_intr_stack(void);
void test_tail_stack(void);
void test_entry_stack(void);

/* library.c */
void test_inherit(void);
void test_inherit_returned(void);
void test_library(void);
void test_library_tail(void);
void test_library_leaves(void);
void test_library_views(void);

/* ways.c */
void test_again(void);
void test_again_split(void);
void test_straddle(void);
void test_same_told(void);
void test_two_loads(void);

/* ways-driver.c */
void test_audit(void);
void test_apic(void);
void test_sregs(void);
void test_smi(void);
void test_dirty(void);
void test_dirty_large(void);
void test_dirty_ring(void);
void test_prefault(void);
void test_swap(void);
void test_rom(void);
void test_nx_huge(void);

/* ways-mmu.c */
void test_async(void);
void test_unsync(void);
void test_nested(void);

/* ask.c */
void test_ask(void);
void test_ask_left(void);
void test_ask_flood(void);
void test_ask_free(void);

/* inline.c */
void test_inline_create(void);
void test_inline_store(void);
void test_inline_device(void);
void test_inline_remapped(void);
void test_inline_neighbour(void);
void test_inline_string(void);
void test_inline_stack(void);
void test_inline_argument(void);
void test_inline_ask(void);
void test_inline_verdicts(void);
void test_inline_pause(void);
void test_inline_gates(void);
void test_inline_check(void);
void test_inline_tail(void);
void test_inline_spill(void);
void test_inline_life(void);
void test_inline_recover(void);
void test_inline_lies(void);
void test_inline_random(void);
void test_inline_scribble(void);
void test_inline_not_ours(void);
void test_inline_cpus(void);
/* image.c */
void test_image(void);
void test_image_errors(void);
void test_image_moves(void);
void test_image_left(void);
void test_image_flood(void);

/* size.c */
void test_sizes(void);

/* who.c */
void test_who(void);
void test_inherited(void);

#endif
