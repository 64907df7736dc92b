/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The runtime of mode inline, as it is copied into images: linux/chariot.h, "mode inline",
 * has what it shares with the host.
 *
 * It runs in the guest's kernel, in any context, and interrupts come in the middle of it,
 * which may call the driver, and so "enter", on the same stack.  There are no indirect
 * branches in it.  Wherever RSP moves there is a row for the unwinder: these macros write
 * them, and @depth has how far RSP is below what it was before the call.
 */
#include "runtime.h"

#define HC		0x43480000
#define MISS		1
#define RANGE		2
#define PRE		3
#define POST		4
#define SPILL		5
#define ENTER		6
#define LEFT		7

#define STACK_SIZE	832		/* struct chariot_inline_stack */
#define STACK_NR	8
#define STACK_STATE	12
#define STACK_R		64
#define RECORDS		6
#define DONE		0xffff		/* to state: one less at work, one more done */

#define AREA		(8 * RT_COPIED)
#define LENGTH_MAX	0x10000		/* of a string that is looked up here */

#define FRAME_RSP	32		/* struct chariot_inline_frame */
#define FRAME_REASON	144
#define FRAME_RET	160

	.macro	row
.Lrow\@:
	.pushsection .rodata.rt_rows, "a"
	.2byte	.Lrow\@ - inl_rt, depth
	.popsection
	.endm

	.macro	at to:vararg
	.set	depth, \to
	row
	.endm

	.macro	push_ what:vararg
	pushq	\what
	at	depth + 8
	.endm

	.macro	pop_ what:vararg
	popq	\what
	at	depth - 8
	.endm

	.macro	drop bytes:vararg
	leaq	(\bytes)(%rsp), %rsp
	at	depth - (\bytes)
	.endm

	/* The 4 bytes before this. */
	.macro	fix kind, value=0
.Lfix\@:
	.pushsection .rodata.rt_fixes, "a"
	.2byte	.Lfix\@ - 4 - inl_rt
	.byte	\kind, 0
	.2byte	\value
	.popsection
	.endm

	.macro	table name
	.globl	\name, \name\()_end
	.hidden	\name, \name\()_end
	.endm

	/* Or a jump to the kernel's return thunk, where the module returns by that. */
	.macro	ret_
	ret
	.fill	4, 1, 0xcc
	fix	RT_RETURN
	.endm

	table	inl_rt
	table	inl_rt_body
	table	inl_rt_rows
	table	inl_rt_fixes
	.globl	inl_rt_hypercall, inl_rt_left, inl_rt_code
	.hidden	inl_rt_hypercall, inl_rt_left, inl_rt_code

	.section .rodata.rt_rows, "a"
	.balign	2
inl_rt_rows:
	.section .rodata.rt_fixes, "a"
	.balign	2
inl_rt_fixes:
	.section .rodata.rt, "a"
	.balign	64
inl_rt:

/* ---- where checks call, by the register that has the address ------------------- */

	.macro	slot reg
	.balign	16, 0xcc
	at	8
	push_	\reg
	call	miss
	pop_	\reg
	ret_
	.endm

	slot	%rax
	slot	%rcx
	slot	%rdx
	slot	%rbx
	.balign	16, 0xcc
	at	8
	push_	%rdi
	call	range
	drop	8			/* the host may have changed it */
	ret_
	slot	%rbp
	slot	%rsi
	slot	%rdi
	.irp	n, 8, 9, 10, 11, 12, 13, 14, 15
	slot	%r\n
	.endr

/* ---- where the driver's functions call, by how far from their beginning ---------- */

	.macro	enter_slot delta, ask
	.balign	16, 0xcc
	at	8
	push_	%rax
	movl	$(\delta + 5) | (\ask << 8), %eax
	jmp	enter
	.endm

	.org	inl_rt + RT_ENTER, 0xcc
	.irp	ask, 0, 1
	enter_slot 0, \ask
	enter_slot 4, \ask
	enter_slot 5, \ask
	enter_slot 9, \ask
	.endr

	.org	inl_rt + RT_PARAMS, 0xcc
text:		.8byte	0
text_len:	.8byte	0
init:		.8byte	0
init_len:	.8byte	0
stack_mask:	.8byte	0
preempt_count:	.8byte	0
off:		.8byte	0
ask:		.8byte	0

inl_rt_code:

/* ---- the hypercall ------------------------------------------------------------------ */

/*
 * With struct chariot_inline_frame from @reason on on the stack; all registers and flags
 * are kept, but for what the host changes there.  @reason then is the result.
 */
host:
	at	8
	pushfq
	at	16
	.irp	reg, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rsp, rbx, rdx, rcx, rax
	push_	%\reg
	.endr
	movq	FRAME_REASON(%rsp), %rax
	movl	%eax, %ecx
	shrl	$8, %ecx
	leaq	FRAME_RET(%rsp, %rcx), %rcx
	movq	%rcx, FRAME_RSP(%rsp)
	movzbl	%al, %eax
	addl	$HC, %eax
inl_rt_hypercall:
	ud2
	int3
	movq	%rax, FRAME_REASON(%rsp)
	cmpq	$2, %rax
	je	free_stack
	jb	1f			/* 0 and 1 */
	cmpq	$-4096, %rax
	jae	2f			/* an error: nobody is there */
	movq	%rax, FRAME_RET(%rsp)
	jmp	2f
1:	testl	%eax, %eax
	je	2f
	movq	%rdx, (%rsp)		/* what a function returns that is not run */
2:
	.irp	reg, rax, rcx, rdx, rbx
	pop_	%\reg
	.endr
	drop	8
	.irp	reg, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	pop_	%\reg
	.endr
	popfq
	at	8
	ret_

/*
 * The host has taken over what was in (RDX) as its state was R8D.  Whoever looks for its
 * own stack marks that as worked on first, and looks again whether it still is its own.
 */
free_stack:
	at	144
	movq	(%rdx), %rax
	cmpq	$1, %rax
	jbe	2b
	movl	$1, %ecx
	lock cmpxchgq %rcx, (%rdx)
	jne	2b
	cmpl	%r8d, STACK_STATE(%rdx)
	jne	3f
	movl	$0, STACK_NR(%rdx)
	xorl	%eax, %eax
3:	movq	%rax, (%rdx)
	jmp	2b

/* ---- stacks ---------------------------------------------------------------------------- */

/* RSP is RDX: its base to RSI, its stack to RCX, and on to @found; the last one of those
 * that it could be else. */
	.macro	find found
	movq	%rdx, %rsi
	andq	stack_mask(%rip), %rsi
	movq	%rsi, %rcx
	shrq	$12, %rcx
	imull	$0x9e3779b1, %ecx, %ecx
	shrl	$25, %ecx
	imull	$STACK_SIZE, %ecx, %ecx
	addq	$0x7fffffff, %rcx
	fix	RT_DATA
	cmpq	%rsi, (%rcx)
	je	\found
	.rept	3
	addq	$STACK_SIZE, %rcx
	cmpq	%rsi, (%rcx)
	je	\found
	.endr
	.endm

/*
 * May [RAX, RAX + RDI) be stored to, by a driver whose RSP is RDX?  CF: yes.  It is its own
 * stack below what had called it, or all of its lines are in the cache.
 */
known:
	at	8
	push_	%r8
	push_	%r9
	push_	%r10
	movq	%rax, %rcx
	subq	%rdx, %rcx
	movq	stack_mask(%rip), %rsi
	notq	%rsi
	cmpq	%rsi, %rcx
	ja	cached
	find	1f
	jmp	cached
1:	movl	STACK_NR(%rcx), %r8d
	cmpl	$RECORDS, %r8d
	ja	cached
	shlq	$7, %r8
	addq	%rcx, %r8		/* r[nr - 1] ends at STACK_R(%r8) */
2:	cmpq	%rcx, %r8
	je	cached
	movq	STACK_R-128(%r8), %r9
	cmpq	%rdx, %r9
	jb	3f
	movq	%r9, %r10		/* could be another's by now */
	andq	stack_mask(%rip), %r10
	cmpq	%rsi, %r10
	jne	3f
	movq	(%r9), %r10
	cmpq	STACK_R-128+8(%r8), %r10
	je	4f
3:	subq	$128, %r8
	jmp	2b
4:	subq	%rax, %r9
	jb	cached
	cmpq	%rdi, %r9
	jae	yes
cached:
	leaq	-1(%rax, %rdi), %rdi	/* the last byte */
	movq	%rdi, %rcx
	subq	%rax, %rcx
	cmpq	$LENGTH_MAX, %rcx
	jae	no
1:	orq	$63, %rax
	movq	%rax, %rcx
	shrq	$6, %rcx
	andl	$0x7fffffff, %ecx
	fix	RT_LINES
	cmpq	%rax, 0(, %rcx, 8)
	fix	RT_CACHE
	jne	no
	cmpq	%rdi, %rax
	jae	yes
	addq	$64, %rax
	jmp	1b
no:	cmpq	$0, off(%rip)
	jne	yes
	clc
	jmp	1f
yes:	stc
1:	pop_	%r10
	pop_	%r9
	pop_	%r8
	ret_

/* ---- a store that the cache does not know ------------------------------------------------ */

	.macro	save_five
	.irp	reg, rax, rcx, rdx, rsi, rdi
	push_	%\reg
	.endr
	.endm

	.macro	restore_five
	.irp	reg, rdi, rsi, rdx, rcx, rax
	pop_	%\reg
	.endr
	.endm

/* The driver's return address is 16 bytes above, and its RSP behind that. */
	.macro	ask_host reason
	push_	16(%rsp)
	push_	16(%rsp)
	push_	$(\reason | 32 << 8)
	call	host
	drop	16
	pop_	16(%rsp)
	ret_
	.endm

miss:
	at	8
	save_five
	movq	48(%rsp), %rax
	movq	56(%rsp), %rdx
	movzbl	3(%rdx), %edi		/* the nop has how many bytes */
	leaq	64(%rsp), %rdx
	call	known
	jnc	1f
	restore_five
	ret_
1:	at	48
	restore_five
	ask_host MISS

/* Here flags are kept, as a string instruction may be in the middle of anything. */
range:
	at	8
	pushfq
	at	16
	save_five
	testl	$0x400, 40(%rsp)	/* downwards */
	jne	1f
	cmpq	$LENGTH_MAX, %rcx
	ja	1f
	movq	64(%rsp), %rdx
	movzbl	3(%rdx), %edx
	imull	%ecx, %edx
	xchgq	%rdx, %rdi
	testl	%edi, %edi
	je	2f
	movq	%rdx, %rax
	leaq	72(%rsp), %rdx
	call	known
	jc	2f
1:	restore_five
	popfq
	at	8
	ask_host RANGE
2:	at	56
	restore_five
	popfq
	at	8
	ret_

/* ---- the driver is called -------------------------------------------------------------------- */

/* EAX: how far behind its symbol, and bit 8: always ask.  A call from the driver itself
 * is none. */
enter:
	at	16
	push_	%rcx
	movq	24(%rsp), %rcx
	subq	text(%rip), %rcx
	cmpq	text_len(%rip), %rcx
	jb	1f
	movq	24(%rsp), %rcx
	subq	init(%rip), %rcx
	cmpq	init_len(%rip), %rcx
	jae	2f
1:	pop_	%rcx
	pop_	%rax
	ret_

2:	at	24
	push_	%rdx
	push_	%rsi
	push_	%rdi
	pushfq
	at	56
	push_	%rax
	/* 0: EAX; 8: flags rdi rsi rdx rcx rax; 56: back; 64: the kernel's return address */
enter_again:
	leaq	64(%rsp), %rdx
	find	enter_found
	subq	$3 * STACK_SIZE, %rcx
	.rept	4
	xorl	%eax, %eax
	lock cmpxchgq %rsi, (%rcx)
	je	enter_found
	cmpq	%rsi, %rax		/* by an interrupt, right now */
	je	enter_found
	addq	$STACK_SIZE, %rcx
	.endr
	jmp	spill
enter_found:
	lock incl STACK_STATE(%rcx)
	cmpq	%rsi, (%rcx)
	jne	4f			/* the host has just taken it */
	movl	STACK_NR(%rcx), %eax
	cmpl	$RECORDS, %eax
	ja	4f
	/* Those are dead that are not above this one, or whose return address is gone. */
1:	testl	%eax, %eax
	je	3f
	movl	%eax, %esi
	shll	$7, %esi
	addq	%rcx, %rsi
	movq	STACK_R-128(%rsi), %rdi
	cmpq	%rdx, %rdi
	jbe	2f
	movq	(%rdi), %rdi
	cmpq	STACK_R-128+8(%rsi), %rdi
	je	3f
2:	decl	%eax
	jmp	1b
3:	cmpl	$RECORDS, %eax
	jb	enter_store
4:	lock addl $DONE, STACK_STATE(%rcx)
	jmp	spill

/*
 * An interrupt's record takes the same place, as long as ours is not counted, and is
 * dead when we go on.  It then has another RSP there: once more.
 */
enter_store:
	movl	%eax, %esi
	shll	$7, %esi
	leaq	STACK_R(%rcx, %rsi), %rsi
1:	movq	%rdx, (%rsi)
	movq	64(%rsp), %rdi
	movq	%rdi, 8(%rsi)
	movzbl	(%rsp), %edi
	negq	%rdi
	addq	56(%rsp), %rdi
	movq	%rdi, 16(%rsi)
	.irp	n, 0, 1, 2, 3
	movq	16 + 8 * \n(%rsp), %rdi
	movq	%rdi, 24 + 8 * \n(%rsi)
	.endr
	movq	%r8, 56(%rsi)
	movq	%r9, 64(%rsi)
	movq	%rbx, 72(%rsi)
	movq	%rbp, 80(%rsi)
	movq	%r12, 88(%rsi)
	movq	%r13, 96(%rsi)
	movq	%r14, 104(%rsi)
	movq	%r15, 112(%rsi)
	movq	preempt_count(%rip), %rdi
	movl	%gs:(%rdi), %edi
	movl	%edi, 120(%rsi)
	movl	8(%rsp), %edi
	movl	%edi, 124(%rsi)
	leal	1(%rax), %edi
	movl	%edi, STACK_NR(%rcx)
	cmpq	%rdx, (%rsi)
	jne	1b
	lock addl $DONE, STACK_STATE(%rcx)
	testb	$1, 1(%rsp)
	jne	enter_ask
	cmpq	$0, ask(%rip)
	jne	enter_ask
enter_out:
	drop	16
	restore_five
	ret_

/* What was saved stays there, for another try. */
	.macro	call_host reason
	at	64
	.irp	n, rdi, rsi, rdx, rcx, rax
	.set	place, place + 8
	movq	place(%rsp), %\n
	.endr
	push_	64(%rsp)
	push_	64(%rsp)
	push_	$(\reason | 72 << 8)
	call	host
	cmpl	$2, (%rsp)
	drop	24
	je	enter_again
	drop	56
	ret_
	.endm

spill:
	at	64
	cmpq	$0, off(%rip)
	jne	enter_out
	testb	$1, 1(%rsp)
	jne	enter_ask
	cmpq	$0, ask(%rip)
	jne	enter_ask
	.set	place, 8
	call_host SPILL
enter_ask:
	.set	place, 8
	call_host ENTER

/* ---- the driver calls -------------------------------------------------------------------------- */

/*
 * Words on the stack before each part: @above is how many bytes there are between the
 * return address into the body and the number of the gate.
 */
	.macro	ask_gate reason, above
	push_	(\above + 16)(%rsp)
	push_	(\above + 16)(%rsp)
	push_	$(\reason | (\above + 24) << 8)
	call	host
	.endm

pre:
	at	8
	cmpq	$0, off(%rip)
	jne	1f
	ask_gate PRE, AREA
	cmpl	$1, (%rsp)
	drop	24
	je	2f
1:	at	8
	push_	%rsi			/* arguments that are on the stack */
	push_	%rdi
	push_	%rcx
	leaq	24 + 8 + AREA + 16(%rsp), %rsi
	leaq	24 + 8(%rsp), %rdi
	movl	$RT_COPIED, %ecx
	rep movsq
	pop_	%rcx
	pop_	%rdi
	pop_	%rsi
	ret_
2:	leaq	8 + AREA + 8(%rsp), %rsp
	at	8
	ret_

post:
	at	8
	cmpq	$0, off(%rip)
	jne	1f
	ask_gate POST, AREA
	drop	24
1:	at	8
	ret_

pre_only:
	at	8
	cmpq	$0, off(%rip)
	jne	1f
	ask_gate PRE, 0
	cmpl	$1, (%rsp)
	drop	24
	je	2f
1:	at	8
	ret_
2:	leaq	16(%rsp), %rsp
	at	8
	ret_

/* Where init and exit return to, instead of to the kernel: the host goes on there. */
	at	16
	int3				/* what returns here is looked for one byte before */
inl_rt_left:
	push_	$0
	push_	$0
	push_	$(LEFT | 8 << 8)
	call	host
	drop	32
	ret_
	.balign	16, 0xcc
inl_rt_end:

/* ---- one gate's, of which there are copies --------------------------------------------------------- */

	.macro	far op, to
	.byte	\op
	.4byte	0
	fix	RT_RUNTIME, \to-inl_rt
	.endm

	.macro	number
	.byte	0x68			/* pushq */
	.4byte	0
	fix	RT_GATE
	at	depth + 8
	.endm

inl_rt_body:
	at	8
	number
	drop	-AREA
	far	0xe8, pre
	.byte	0xe8			/* call the function */
	.4byte	0
	fix	RT_SYMBOL
	far	0xe8, post
	drop	AREA + 8
	ret_
	.org	inl_rt_body + RT_BODY_PRE, 0xcc
	at	8
	number
	far	0xe8, pre_only
	drop	8
	.byte	0xe9
	.4byte	0
	fix	RT_SYMBOL
	.org	inl_rt_body + RT_BODY, 0xcc
inl_rt_body_end:

	.section .rodata.rt_rows, "a"
inl_rt_rows_end:
	.section .rodata.rt_fixes, "a"
inl_rt_fixes_end:
	.section .note.GNU-stack, "", @progbits
