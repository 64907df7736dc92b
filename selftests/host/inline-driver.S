/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A driver of mode inline as the rewriter would make it, with a runtime, both by hand.
 * It is copied to INLINE_DRIVER of a guest; the hypercalls' bytes are put in there.
 */
#include "inline.h"

	.section .rodata
	.balign 8
	.globl inline_driver, inline_driver_end
inline_driver:

/* A check of what %rdi leads to, and the store of %rcx. */
.macro check_store n
	mov	%edi, %edx
	shr	$6, %edx
	and	$(INLINE_LINES - 1), %edx
	mov	%rdi, %rax
	or	$63, %rax
	cmp	INLINE_CACHE(,%rdx,8), %rax
	jne	1f
2:
	.globl	inline_store\n, inline_skip\n, inline_ret\n
inline_store\n:
	mov	%rcx, (%rdi)
inline_skip\n:
	jmp	3f
1:	mov	%rdi, %rax
	call	miss
inline_ret\n:
	jmp	2b
3:
.endm

	.globl inline_write, inline_entered, inline_string, inline_calls, inline_twice
	.globl inline_jumps, inline_loop

/* Its record is made by the test. */
	.balign 16
inline_write:
	check_store 0
	ret

/* That of enter. */
	.balign 16
inline_entered:
	call	enter
	check_store 1
	mov	%rbx, %rax
	ret

/* rep stosb, with the registers of the caller. */
	.balign 16
inline_string:
	call	range
	.globl inline_ret2, inline_store2, inline_skip2
inline_ret2:
inline_store2:
	rep stosb
inline_skip2:
	ret

/* Calls gate 0, writes to what that returns, calls gate 1 with it, writes again. */
	.balign 16
inline_calls:
	call	gate0
	mov	%rax, %rdi
	check_store 3
	call	gate1
	check_store 4
	ret

/* Calls gate 2 with its caller's registers. */
	.balign 16
inline_twice:
	call	gate2
	ret

	.balign 16
inline_jumps:
	jmp	gate2

/* Writes %rbx times. */
	.balign 16
inline_loop:
	check_store 5
	dec	%rbx
	jnz	inline_loop
	ret

/* Where the guest's kernel would be lost without us: all of what kernel code wants. */

	.balign 4096
	.globl inline_runtime, inline_vmcall, inline_left
inline_runtime:
	.org	inline_runtime + 0x180 + 64	/* CHARIOT_INLINE_PARAMS */

/*
 * A struct chariot_inline_frame: above it is @ret, on the stack already; RSP of the
 * driver is @up bytes above that.
 */
.macro hypercall reason, what, up
	push	\what
	push	$\reason
	push	$0
	pushfq
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%r11
	push	%r10
	push	%r9
	push	%r8
	push	%rdi
	push	%rsi
	push	%rbp
	push	%rsp
	addq	$(120 + \up), (%rsp)
	push	%rbx
	push	%rdx
	push	%rcx
	push	%rax
	mov	$(0x43480000 + \reason), %eax
	call	inline_vmcall_from
	test	%rax, %rax
	jle	7f
	mov	%rax, 160(%rsp)			/* @ret */
7:	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rbx
	lea	8(%rsp), %rsp
	pop	%rbp
	pop	%rsi
	pop	%rdi
	pop	%r8
	pop	%r9
	pop	%r10
	pop	%r11
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	popfq
	lea	24(%rsp), %rsp
.endm

	.globl inline_vmcall
/* One place for all: RSP leads to the frame, so its own return address is in a register. */
	.balign 16
inline_vmcall_from:
	pop	%rdx
inline_vmcall:
	vmmcall
	jmp	*%rdx

miss:	hypercall 1, %rax, 8
	ret
range:	hypercall 2, %rdi, 8
	ret

.macro gate n fn
gate\n:	hypercall 3, $\n, 0
	mov	$\fn, %r11d
	call	*%r11
	hypercall 4, $\n, 0
	ret
.endm
	gate	0, INLINE_ALLOC
	gate	1, INLINE_FREE
	gate	2, INLINE_FUNC

/* The stack: where it is called from, the driver's return address. */
	.globl	inline_enter_reason
enter:	push	8(%rsp)
	hypercall 6, "8(%rsp)", 16
	lea	8(%rsp), %rsp
	ret
	.globl	inline_spilled
/* The same, of a function whose record has no room. */
	.balign 16
inline_spilled:
	call	spill
	check_store 6
	ret
spill:	push	8(%rsp)
	hypercall 5, "8(%rsp)", 16
	lea	8(%rsp), %rsp
	ret

/* RSP leads to the word below the return address. */
inline_left:
	hypercall 7, $0, 0
	lea	8(%rsp), %rsp
	ret
	.balign 4096
inline_driver_end:
	.section .note.GNU-stack, "", @progbits
