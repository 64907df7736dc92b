// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * -device chariot: isolate drivers of this VM from its start.
 *
 * For the guest this is a PCI device of no known kind, without interrupts, and
 * without registers unless requests=on (bar.h).  For the host it holds the guard of libchariot, whose
 * thread does the work; all that has to happen in QEMU's main loop, with its
 * lock, is here.
 *
 * Times at which the guest must stop: the guard's thread calls on_event(),
 * which wakes the main loop, which stops the VM.  A vCPU that waits in
 * kvm_chariot.ko for an answer leaves it for the signal with which QEMU stops
 * vCPUs, and enters it again when the VM continues.
 */
#include "qemu.h"

#include <sys/ioctl.h>

#include <chariot.h>

#include "device.h"
#include "message.h"
#include "request.h"

#define CHARIOT_DEV(obj) OBJECT_CHECK(ChariotDev, (obj), TYPE_CHARIOT)

/*
 * In bar.h: QEMU's own range of 1234 for what no one registered; nothing drives
 * it.  Class ff: fits none of the others.
 */
#define CHARIOT_PCI_CLASS	0xff00

#define NODE		"/dev/chariot"
#define VERDICTS	"report, skip, oops, pause, recover, auto"

typedef struct ChariotDev {
	PCIDevice parent;

	/* properties */
	char *drivers;
	char *policy;
	uint32_t verdict;
	char *state_dir;		/* of verdict auto, or NULL */
	bool fail_pause;
	bool requests;			/* the guest may make some */

	/* main thread */
	ChariotRequests req;
	struct chariot_guard *guard;
	struct chariot_vm *vm;		/* the guard's */
	QEMUBH *bh;
	VMChangeStateEntry *vmstate;
	Notifier exit;
	bool ran;			/* the guest has run since a reset */
	bool stop_at_start;

	pthread_mutex_t lock;
	pthread_cond_t stopped;
	GArray *held;			/* uint64_t: events that wait for "cont" */
	bool want_stop;			/* until the VM has stopped */
	bool gone;			/* no one will stop it any more */
} ChariotDev;

/* One KVM VM in a process, so one guard. */
static ChariotDev *the_device;

/* ---- stop and go -------------------------------------------------------- */

/* In the guard's thread. */
static void on_event(void *ctx, const struct chariot_event *ev,
		     const char *text)
{
	ChariotDev *d = ctx;
	bool held = ev->type == CHARIOT_EV_VIOLATION &&
		    ev->flags & CHARIOT_EV_WAITS;
	bool failed = ev->type == CHARIOT_EV_ERROR && d->fail_pause;

	if (!held && !failed)
		return;
	pthread_mutex_lock(&d->lock);
	if (held)
		g_array_append_val(d->held, ev->seq);
	if (!d->gone) {
		d->want_stop = true;
		qemu_bh_schedule(d->bh);
	}
	/*
	 * The vCPU that the failure is about goes on when the guard answers,
	 * which is after we return: not before the VM has stopped.
	 */
	while (failed && d->want_stop && !d->gone)
		pthread_cond_wait(&d->stopped, &d->lock);
	pthread_mutex_unlock(&d->lock);
}

static void stop_done(ChariotDev *d)
{
	pthread_mutex_lock(&d->lock);
	d->want_stop = false;
	pthread_cond_broadcast(&d->stopped);
	pthread_mutex_unlock(&d->lock);
}

static bool wants_stop(ChariotDev *d)
{
	bool want;

	pthread_mutex_lock(&d->lock);
	want = d->want_stop;
	pthread_mutex_unlock(&d->lock);
	return want;
}

static void stop_vm(void *opaque)
{
	ChariotDev *d = opaque;

	if (!wants_stop(d))
		return;
	/* Why, before QMP says that it has stopped. */
	message_flush();
	if (runstate_check(RUN_STATE_PRELAUNCH))
		d->stop_at_start = true;
	else
		vm_stop(RUN_STATE_DEBUG);
	stop_done(d);
}

static void let_go(ChariotDev *d)
{
	struct chariot_continue c = { .argsz = sizeof(c) };
	GArray *seqs;

	pthread_mutex_lock(&d->lock);
	seqs = d->held;
	d->held = g_array_new(false, false, sizeof(uint64_t));
	pthread_mutex_unlock(&d->lock);
	for (guint i = 0; i < seqs->len; i++) {
		c.seq = g_array_index(seqs, uint64_t, i);
		/* ENOENT: a reset or "chariot vm continue" was first */
		if (ioctl(chariot_vm__fd(d->vm), CHARIOT_CONTINUE, &c) < 0 &&
		    errno != ENOENT)
			warn_report("chariot: cannot continue event %" PRIu64 ": %s",
				    (uint64_t)c.seq, strerror(errno));
	}
	g_array_free(seqs, true);
}

/* Before vCPUs run, or after they have stopped. */
static void on_vm_state(void *opaque, bool running, RunState state)
{
	ChariotDev *d = opaque;

	if (!running)
		return;
	d->ran = true;
	if (d->stop_at_start) {
		d->stop_at_start = false;
		pthread_mutex_lock(&d->lock);
		d->want_stop = true;
		pthread_mutex_unlock(&d->lock);
		qemu_bh_schedule(d->bh);
		return;
	}
	let_go(d);
}

/*
 * A reset of the system, with vCPUs stopped.  Not the device's own reset, which
 * a guest can do through the bus.  QEMU resets once before a guest first runs:
 * there is nothing to forget then.
 */
static void on_reset(void *opaque)
{
	ChariotDev *d = opaque;
	int err;

	if (!d->ran)
		return;
	chariot_requests_reset(&d->req);
	d->ran = runstate_is_running();
	err = chariot_guard__reset(d->guard);
	if (err)
		error_report("chariot: the guest was reset, but cannot be isolated again: %s",
			     strerror(-err));
	let_go(d);
	stop_done(d);
}

/* The last words. */
static void on_exit_qemu(Notifier *n, void *data)
{
	message_flush();
}

/* ---- realize ------------------------------------------------------------ */

/*
 * Names with ',' or ':' between: a ',' has to be doubled on the command line.
 * What the guard gets has commas.
 */
static bool set_drivers(ChariotDev *d, const char *list, Error **errp)
{
	const char *s = list;
	size_t len;

	while (*s) {
		len = strcspn(s, ",:");
		if (!chariot_name_ok(s, len)) {
			error_setg(errp, "drivers: \"%.*s\" in \"%s\" is no name of a driver (expected NAME[:NAME...])",
				   (int)len, s, list);
			return false;
		}
		s += len;
		if (*s && !*++s) {
			error_setg(errp, "drivers: \"%s\" ends in a separator (expected NAME[:NAME...])",
				   list);
			return false;
		}
	}
	g_free(d->drivers);
	d->drivers = g_strdelimit(g_strdup(list), ":", ',');
	return true;
}

static void set_error(Error **errp, int err, const char *what)
{
	const char *why = message_captured();

	if (*why)
		error_setg(errp, "%s: %s", what, why);
	else
		error_setg(errp, "%s: %s", what, strerror(err));
}

static char **policy_files(ChariotDev *d)
{
	return g_strsplit(d->policy && *d->policy ? d->policy : "", ":", 0);
}

/* The guard does so again; here it is without a VM, and says what is wrong. */
static bool check_policy(char **files, Error **errp)
{
	struct chariot_policy *p;

	for (char **f = files; *f; f++) {
		if (!**f) {
			error_setg(errp, "policy: empty file name (expected FILE[:FILE...])");
			return false;
		}
	}
	p = chariot_policy__load((const char *const *)files);
	if (!p)
		set_error(errp, errno, "policy");
	chariot_policy__free(p);
	return p;
}

static bool check_accel(Error **errp)
{
	const char *name;

	if (kvm_enabled())
		return true;
	name = object_get_typename(OBJECT(current_accel()));
	error_setg(errp, "accel=%.*s: chariot needs KVM (-accel kvm)",
		   (int)strcspn(name, "-"), name);
	return false;
}

static struct chariot_vm *attach(Error **errp)
{
	struct chariot_vm *vm = chariot_vm__attach_self();
	int err = errno;

	if (vm)
		return vm;
	if (err == EACCES || err == EPERM) {
		error_setg(errp, NODE ": %s: QEMU runs as uid %d, which may not read and write it",
			   strerror(err), (int)geteuid());
		error_append_hint(errp, "Add the user to the group that owns it, which is kvm.\n");
	} else if (err == ENXIO || err == ENODEV) {
		error_setg(errp, NODE ": %s: load kvm_chariot.ko first",
			   strerror(err));
	} else if (err == ENOENT && access(NODE, F_OK)) {
		error_setg(errp, NODE " is not there: load kvm_chariot.ko first");
		error_append_hint(errp, "With libvirt, " NODE " also has to be in cgroup_device_acl of qemu.conf.\n");
	} else {
		set_error(errp, err, "cannot attach to this VM");
	}
	return NULL;
}

/* QEMU's threads sort out signals among themselves: take none of them. */
static bool start_guard(ChariotDev *d, char **files, Error **errp)
{
	struct chariot_guard_opts o = {
		.sz = sizeof(o),
		.drivers = d->drivers ?: "",
		.policies = (const char *const *)files,
		.verdict = d->verdict,
		.state_dir = d->state_dir,
		.fail_stop = d->fail_pause,
		.on_event = on_event,
		.ctx = d,
	};
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	d->guard = chariot_guard__start(d->vm, &o);
	err = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!d->guard)
		set_error(errp, err, "cannot start the guard");
	return d->guard;
}

/* All that can fail; what it made is freed by who called. */
static bool setup(ChariotDev *d, char **files, Error **errp)
{
	if (!check_policy(files, errp) || !check_accel(errp))
		return false;
	d->vm = attach(errp);
	return d->vm && start_guard(d, files, errp);
}

static void chariot_realize(PCIDevice *pci, Error **errp)
{
	ChariotDev *d = CHARIOT_DEV(pci);
	char **files;
	bool ok;

	if (the_device) {
		error_setg(errp, "there is a chariot device already, and it is for all drivers of the VM");
		return;
	}
	files = policy_files(d);
	d->gone = false;
	d->want_stop = false;
	d->ran = runstate_is_running();		/* hot-plugged */
	d->stop_at_start = false;
	d->held = g_array_new(false, false, sizeof(uint64_t));
	d->bh = qemu_bh_new(stop_vm, d);
	message_start();
	message_capture();
	ok = setup(d, files, errp);
	message_release();
	g_strfreev(files);
	if (!ok) {
		chariot_vm__free(d->vm);
		d->vm = NULL;
		/* QEMU may be about to exit. */
		message_flush();
		message_stop();
		qemu_bh_delete(d->bh);
		g_array_free(d->held, true);
		return;
	}
	if (d->requests)
		chariot_requests_start(&d->req, pci, d->guard);
	d->vmstate = qemu_add_vm_change_state_handler(on_vm_state, d);
	qemu_register_reset(on_reset, d);
	d->exit.notify = on_exit_qemu;
	qemu_add_exit_notifier(&d->exit);
	the_device = d;
}

static void chariot_unrealize(PCIDevice *pci)
{
	ChariotDev *d = CHARIOT_DEV(pci);

	pthread_mutex_lock(&d->lock);
	d->gone = true;
	pthread_cond_broadcast(&d->stopped);
	pthread_mutex_unlock(&d->lock);
	chariot_guard__stop(d->guard);		/* and the VM's handle */
	d->guard = NULL;
	d->vm = NULL;
	qemu_remove_exit_notifier(&d->exit);
	qemu_unregister_reset(on_reset, d);
	qemu_del_vm_change_state_handler(d->vmstate);
	message_stop();
	qemu_bh_delete(d->bh);
	g_array_free(d->held, true);
	the_device = NULL;
}

/* ---- properties --------------------------------------------------------- */

static bool may_set(Object *obj, const char *name, Error **errp)
{
	if (!DEVICE(obj)->realized)
		return true;
	qdev_prop_set_after_realize(DEVICE(obj), name, errp);
	return false;
}

static char *get_drivers(Object *obj, Error **errp)
{
	return g_strdup(CHARIOT_DEV(obj)->drivers ?: "");
}

static void prop_set_drivers(Object *obj, const char *value, Error **errp)
{
	if (may_set(obj, "drivers", errp))
		set_drivers(CHARIOT_DEV(obj), value, errp);
}

static char *get_policy(Object *obj, Error **errp)
{
	return g_strdup(CHARIOT_DEV(obj)->policy ?: "");
}

static void set_policy(Object *obj, const char *value, Error **errp)
{
	ChariotDev *d = CHARIOT_DEV(obj);

	if (!may_set(obj, "policy", errp))
		return;
	g_free(d->policy);
	d->policy = g_strdup(value);
}

static char *get_state_dir(Object *obj, Error **errp)
{
	return g_strdup(chariot_trust__dir(CHARIOT_DEV(obj)->state_dir));
}

static void set_state_dir(Object *obj, const char *value, Error **errp)
{
	ChariotDev *d = CHARIOT_DEV(obj);

	if (!may_set(obj, "state-dir", errp))
		return;
	g_free(d->state_dir);
	d->state_dir = g_strdup(value);
}

static char *get_verdict(Object *obj, Error **errp)
{
	return g_strdup(chariot_verdict_name(CHARIOT_DEV(obj)->verdict));
}

/* At run time, too: of the domains that are there, and of those to come. */
static void set_verdict(Object *obj, const char *value, Error **errp)
{
	ChariotDev *d = CHARIOT_DEV(obj);
	int v = chariot_verdict_by_name(value), err = 0;

	if (v < 0) {
		error_setg(errp, "verdict: \"%s\" is none of " VERDICTS, value);
		return;
	}
	if (d->guard)
		err = chariot_guard__set_verdict(d->guard, v);
	if (err)
		error_setg(errp, "verdict: cannot be set to %s: %s", value,
			   strerror(-err));
	else
		d->verdict = v;
}

static char *get_fail(Object *obj, Error **errp)
{
	return g_strdup(CHARIOT_DEV(obj)->fail_pause ? "pause" : "continue");
}

static void set_fail(Object *obj, const char *value, Error **errp)
{
	ChariotDev *d = CHARIOT_DEV(obj);
	bool pause = !strcmp(value, "pause");

	if (!may_set(obj, "fail", errp))
		return;
	if (!pause && strcmp(value, "continue"))
		error_setg(errp, "fail: \"%s\" is none of continue, pause",
			   value);
	else
		d->fail_pause = pause;
}

static bool get_requests(Object *obj, Error **errp)
{
	return CHARIOT_DEV(obj)->requests;
}

static void set_requests(Object *obj, bool value, Error **errp)
{
	if (may_set(obj, "requests", errp))
		CHARIOT_DEV(obj)->requests = value;
}

static char *get_state(Object *obj, Error **errp)
{
	static const char *const names[] = {
		[CHARIOT_VM_PLAIN] = "plain",
		[CHARIOT_VM_ISOLATING] = "isolating",
		[CHARIOT_VM_DEAD] = "dead",
	};
	ChariotDev *d = CHARIOT_DEV(obj);
	struct chariot_vm_info i;
	int err;

	if (!d->vm)
		return g_strdup("unattached");
	err = chariot_vm__info(d->vm, &i);
	if (err) {
		error_setg(errp, "state: %s", strerror(-err));
		return NULL;
	}
	return g_strdup(i.state < G_N_ELEMENTS(names) ? names[i.state] :
							"unknown");
}

static const struct {
	const char *name;
	size_t offset;
} counters[] = {
#define COUNTER(name, exit, text) \
	{ #name, offsetof(struct chariot_stats, name) },
	CHARIOT_COUNTERS(COUNTER)
#undef COUNTER
};

static bool visit_counters(Visitor *v, const struct chariot_stats *st,
			   Error **errp)
{
	for (size_t i = 0; i < G_N_ELEMENTS(counters); i++) {
		uint64_t n;

		memcpy(&n, (const char *)st + counters[i].offset, sizeof(n));
		if (!visit_type_uint64(v, counters[i].name, &n, errp))
			return false;
	}
	return true;
}

/* As one object, so that counters are of one moment. */
static void get_stats(Object *obj, Visitor *v, const char *name, void *opaque,
		      Error **errp)
{
	ChariotDev *d = CHARIOT_DEV(obj);
	struct chariot_stats st = { 0 };
	int err = d->guard ? chariot_guard__stats(d->guard, NULL, &st) : 0;

	if (err) {
		error_setg(errp, "stats: %s", strerror(-err));
		return;
	}
	if (!visit_start_struct(v, name, NULL, 0, errp))
		return;
	if (visit_counters(v, &st, errp))
		visit_check_struct(v, errp);
	visit_end_struct(v, NULL);
}

static bool visit_domain(Visitor *v, struct chariot_domain_info *i,
			 Error **errp)
{
	g_autofree char *verdict = g_strdup(chariot_verdict_name(i->verdict));
	uint64_t objects = i->nr_objects, memory = i->memory;
	bool ok;

	i->name[sizeof(i->name) - 1] = 0;
	if (!visit_start_struct(v, i->name, NULL, 0, errp))
		return false;
	ok = visit_type_str(v, "verdict", &verdict, errp) &&
	     visit_type_uint64(v, "objects", &objects, errp) &&
	     visit_type_uint64(v, "memory", &memory, errp);
	visit_end_struct(v, NULL);
	return ok;
}

/* The drivers that are isolated now, by name. */
static void get_domains(Object *obj, Visitor *v, const char *name,
			void *opaque, Error **errp)
{
	ChariotDev *d = CHARIOT_DEV(obj);
	struct chariot_domain_info i;
	struct chariot_vm_info vm = { 0 };
	int err = d->vm ? chariot_vm__info(d->vm, &vm) : 0;

	if (err) {
		error_setg(errp, "domains: %s", strerror(-err));
		return;
	}
	if (!visit_start_struct(v, name, NULL, 0, errp))
		return;
	for (uint32_t nr = 1; nr < 32; nr++)
		if (vm.domains & 1U << nr &&
		    !chariot_vm__domain_info(d->vm, nr, &i) &&
		    !visit_domain(v, &i, errp))
			break;
	visit_end_struct(v, NULL);
}

/* ---- type --------------------------------------------------------------- */

static void chariot_init(Object *obj)
{
	ChariotDev *d = CHARIOT_DEV(obj);

	d->verdict = CHARIOT_VERDICT_DEFAULT;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->stopped, NULL);
}

static void chariot_finalize(Object *obj)
{
	ChariotDev *d = CHARIOT_DEV(obj);

	pthread_cond_destroy(&d->stopped);
	pthread_mutex_destroy(&d->lock);
	g_free(d->drivers);
	g_free(d->policy);
	g_free(d->state_dir);
}

/* The ACT is in the kernel, and full of addresses of this host's run. */
static const VMStateDescription chariot_vmstate = {
	.name = TYPE_CHARIOT,
	.unmigratable = 1,
};

static void add_properties(ObjectClass *oc)
{
	object_class_property_add_str(oc, "drivers", get_drivers,
				      prop_set_drivers);
	object_class_property_set_description(oc, "drivers",
		"drivers to isolate, NAME[:NAME...]");
	object_class_property_add_str(oc, "policy", get_policy, set_policy);
	object_class_property_set_description(oc, "policy",
		"policy files on top of the built-in one, FILE[:FILE...]");
	object_class_property_add_str(oc, "verdict", get_verdict, set_verdict);
	object_class_property_set_description(oc, "verdict",
		"what is done about a violation: " VERDICTS
		" (default: auto; can be changed at any time)");
	object_class_property_add_str(oc, "state-dir", get_state_dir,
				      set_state_dir);
	object_class_property_set_description(oc, "state-dir",
		"which drivers have proved themselves, for verdict auto (default: "
		CHARIOT_STATE_DIR ")");
	object_class_property_add_str(oc, "fail", get_fail, set_fail);
	object_class_property_set_description(oc, "fail",
		"what is done when a driver cannot be isolated: continue, pause (default: continue)");
	object_class_property_add_bool(oc, "requests", get_requests,
				       set_requests);
	object_class_property_set_description(oc, "requests",
		"may the guest ask for drivers to be isolated (default: off)");
	object_class_property_add_str(oc, "state", get_state, NULL);
	object_class_property_set_description(oc, "state",
		"unattached, plain, isolating, dead");
	object_class_property_add(oc, "stats", "ChariotStats", get_stats, NULL,
				  NULL, NULL);
	object_class_property_set_description(oc, "stats",
		"counters of the whole VM");
	object_class_property_add(oc, "domains", "ChariotDomains", get_domains,
				  NULL, NULL, NULL);
	object_class_property_set_description(oc, "domains",
		"drivers that are isolated now");
}

static void chariot_class_init(ObjectClass *oc, class_data *data)
{
	DeviceClass *dc = DEVICE_CLASS(oc);
	PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);

	dc->desc = "isolation of guest kernel drivers";
	dc->vmsd = &chariot_vmstate;
	set_bit(DEVICE_CATEGORY_MISC, dc->categories);
	pc->realize = chariot_realize;
	pc->exit = chariot_unrealize;
	pc->vendor_id = CHARIOT_PCI_VENDOR;
	pc->device_id = CHARIOT_PCI_DEVICE;
	pc->class_id = CHARIOT_PCI_CLASS;
	add_properties(oc);
}

void chariot_device_register(void)
{
	static InterfaceInfo interfaces[] = {
		{ INTERFACE_CONVENTIONAL_PCI_DEVICE },
		{ },
	};
	static const TypeInfo info = {
		.name = TYPE_CHARIOT,
		.parent = TYPE_PCI_DEVICE,
		.instance_size = sizeof(ChariotDev),
		.instance_init = chariot_init,
		.instance_finalize = chariot_finalize,
		.class_init = chariot_class_init,
		.interfaces = interfaces,
	};

	type_register_static(&info);
}
