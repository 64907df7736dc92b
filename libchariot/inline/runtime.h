/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What runtime-code.S and runtime.c agree on.
 */
#ifndef INLINE_RUNTIME_H
#define INLINE_RUNTIME_H

/* Fields of 4 bytes that are filled when an image is made. */
#define RT_DATA		1	/* .chariot.data, as an address */
#define RT_CACHE	2	/* .chariot.cache, as an address */
#define RT_LINES	3	/* number of its entries, less 1 */
#define RT_RUNTIME	4	/* a distance to what is at @value of the runtime */
#define RT_GATE		5	/* number of the gate */
#define RT_SYMBOL	6	/* a distance to its function */
#define RT_RETURN	7	/* behind a "ret", to which it belongs */

#define RT_ENTER	0x100	/* slots: where the call stands, and whether it asks */
#define RT_PARAMS	0x180
#define RT_BODY		64	/* of a gate */
#define RT_BODY_PRE	40	/* where the one begins that has no POST */
#define RT_COPIED	16	/* words of arguments on the stack */

#ifndef __ASSEMBLER__
struct rt_fix {
	uint16_t off;
	uint8_t kind, reserved;
	uint16_t value;
};
/* From here on, RSP is so many bytes below what it was before the call. */
struct rt_row {
	uint16_t off, depth;
};

extern const uint8_t inl_rt[], inl_rt_end[], inl_rt_body[], inl_rt_body_end[];
extern const uint8_t inl_rt_hypercall[], inl_rt_left[], inl_rt_code[];
extern const struct rt_fix inl_rt_fixes[], inl_rt_fixes_end[];
extern const struct rt_row inl_rt_rows[], inl_rt_rows_end[];
#endif
#endif
