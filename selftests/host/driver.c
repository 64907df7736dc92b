// SPDX-License-Identifier: GPL-2.0
/*
 * What a driver does wrong with its stack and interrupts is a violation of that
 * driver, and no failure of ours: its VM and the other domains stay isolated.
 */
#include "vm.h"
#include "hostile.h"

#include <unistd.h>

/* Two drivers, of which the first one does something. */
static int begin(struct guest *g, struct chariot_op *op)
{
	struct domain d, other;
	int h;

	guest_new(g, 1);
	guest_code(g, KERNEL, CALL(DRIVER), HLT);
	guest_code(g, FUNC, RET);
	guest_code(g, DRIVER2, RET);
	/* CREATE looks for one; the rest comes later. */
	guest_code(g, DRIVER + PAGE - 1, RET);
	guest_code(g, INTR, HLT);
	h = attach(g->fd);
	domain_init(&d, DRIVER);
	if (op)
		domain_ops(&d, op, 1);
	domain_init(&other, DRIVER2);
	if (h < 0 || domain_create(h, &d) != 1 || domain_create(h, &other) != 2)
		die("attach, CREATE");
	return h;
}

static void end(struct guest *g, int h)
{
	struct chariot_event ev;
	struct chariot_vm_info i;
	struct task *t;

	t = task_start(run_guest, g);
	ok(task_wait(t, patience), "KVM_RUN returns");
	note("exit %ld", t->result);
	i = vm_info(h);
	ok(i.state == CHARIOT_VM_ISOLATING, "the VM is still isolated: state %u",
	   i.state);
	ok(i.domains & 1 << 2, "the other driver is: domains %x", i.domains);
	/* This takes the events before it away. */
	ok(event_find(h, CHARIOT_EV_VIOLATION, 1, &ev),
	   "there is a VIOLATION of the driver");
	close(h);
}

/* What is on the stack was pushed by no interrupt. */
void test_intr_frame(void)
{
	struct guest g;
	int h = begin(&g, NULL);

	guest_code(&g, DRIVER, JUMP(INTR), RET);
	guest_start(&g, STACK, 0);
	end(&g, h);
}

void test_intr_stack(void)
{
	struct guest g;
	int h = begin(&g, NULL);

	guest_code(&g, DRIVER, SET_RSP(NOWHERE), JUMP(INTR), RET);
	guest_start(&g, STACK, 0);
	end(&g, h);
}

/*
 * A jump to a kernel function with ops is made a call, which needs a word more
 * on the stack: there is no page for it.
 */
void test_tail_stack(void)
{
	struct chariot_op op = {
		.op = CHARIOT_OP_GRANT, .phase = CHARIOT_PHASE_POST,
		.base = CHARIOT_RET, .len_add = 8,
	};
	struct guest g;
	int h = begin(&g, &op);

	((uint64_t *)(g.mem + PD))[2] = 0;
	guest_code(&g, DRIVER, JUMP(FUNC), RET);
	guest_start(&g, 3 * LARGE_PAGE + 8, 0);
	end(&g, h);
}

/* By a jump: a call would push, and fault. */
void test_entry_stack(void)
{
	struct guest g;
	int h = begin(&g, NULL);

	guest_code(&g, KERNEL, SET_RSP(NOWHERE), JUMP(DRIVER), HLT);
	guest_code(&g, DRIVER, JUMP(KERNEL + 17), HLT);
	guest_start(&g, STACK, 0);
	end(&g, h);
}
