// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guard: a thread that isolates named drivers as the guest loads them.
 *
 * The thread alone uses g->vm, but for plain ioctls on its descriptor, which
 * need no lock.  g->lock is for what other threads change or read, and is never
 * held over an ioctl; the thread itself reads its own fields without.
 */
#include <chariot-inline.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "deliver.h"
#include "evidence.h"
#include "instrument.h"
#include "object.h"
#include "policy.h"
#include "sweep.h"
#include "trust.h"

#define DEFAULT_TIMEOUT	60000

#define MAX_NAMES	256	/* of drivers; the module has 30 domains */

struct module {
	char name[CHARIOT_NAME_LEN];
	bool in;		/* the domain has it */
};

struct name {
	struct name *next;
	char name[CHARIOT_NAME_LEN];	/* of its first module, and of the domain */
	struct module modules[CHARIOT_MAX_MODULES];
	unsigned int nr_modules;
	unsigned int nr_named;	/* of these; the others were found */
	bool depends;		/* "name+" */
	uint32_t domain;	/* that was made last; 0: none */
	bool restart;		/* when it fails; as that was made */
	bool unbind;		/* one of its modules can be taken from devices */
	time_t faults[POLICY_MAX_RESTARTS];	/* when it failed last, a ring */
	unsigned int nr_faults;
};

/*
 * A driver that was loaded already: what it has allocated is not known, so its
 * verdict is report, and what it writes is granted.  It can never be told that
 * it has written all that is its own: to be enforced it is loaded anew.
 */
struct live {
	struct live *next;
	char name[CHARIOT_NAME_LEN];
	uint32_t domain;
};

struct chariot_guard {
	struct chariot_vm *vm;
	struct chariot_policy *policy;
	struct chariot_guard_opts o;
	pthread_t thread;
	int wake;			/* eventfd */

	/* of the thread */
	struct name *drivers;
	unsigned int nr_drivers;
	struct live *live;
	struct evidence *evidence;	/* NULL: not yet asked */
	struct sweep *sweep;
	bool no_evidence;		/* it cannot be looked for: told once */
	struct {			/* the last one for which there was none */
		uint64_t rip, gva;
		char why[128];
	} no;
	uint32_t armed;			/* CHARIOT_WATCH_* */
	struct deliver *deliver;	/* NULL: images stay as they are */
	struct instruments *instruments;
	bool dead;			/* the module gave this VM up */
	struct probation *probation;
	uint32_t applied;		/* verdict that the domains have */

	pthread_mutex_t lock;
	bool stop;
	char asked[CHARIOT_NAME_LEN];	/* by another thread; "": nothing */
	unsigned int resets;		/* asked for; */
	uint32_t verdict;
	unsigned int resets_done;	/* of the thread */
};

/* ---- telling ------------------------------------------------------------ */

static void tell(struct chariot_guard *g, const struct chariot_event *ev)
{
	char text[768];

	chariot_vm__describe(g->vm, ev, text, sizeof(text));
	if (ev->type == CHARIOT_EV_VIOLATION && g->no.why[0] &&
	    ev->u.violation.rip == g->no.rip && ev->u.violation.gva == g->no.gva)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 " (%s)", g->no.why);
	if (g->o.on_event && g->o.events_apart)
		;
	else if (ev->type == CHARIOT_EV_ERROR)
		log_err("%s", text);
	else if (ev->type == CHARIOT_EV_VIOLATION ||
		 ev->type == CHARIOT_EV_UNEMULATED)
		log_warn("%s", text);
	else
		log_info("%s", text);
	if (g->o.on_event)
		g->o.on_event(g->o.ctx, ev, text);
}

static void failed(struct chariot_guard *g, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * A failure of ours, as an event like those of the module.  With fail_stop
 * verdict PAUSE asks whoever listens to stop the VM; the vCPU still waits.
 */
static void failed(struct chariot_guard *g, int err, const char *fmt, ...)
{
	struct chariot_event ev = {
		.size = sizeof(ev), .type = CHARIOT_EV_ERROR, .vcpu = ~0U,
		.verdict = g->o.fail_stop ? CHARIOT_VERDICT_PAUSE :
					    CHARIOT_VERDICT_REPORT,
	};
	va_list ap;

	ev.u.error.error = err;
	va_start(ap, fmt);
	vsnprintf(ev.u.error.text, sizeof(ev.u.error.text), fmt, ap);
	va_end(ap);
	tell(g, &ev);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static time_t now(void)
{
	return now_ms() / 1000;
}

/* ---- the list of drivers ------------------------------------------------ */

/* As the kernel has it: with '_'. */
static bool set_name(char *dst, const char *src, size_t len)
{
	if (!len || len >= CHARIOT_NAME_LEN)
		return false;
	text_fold(dst, src, len);
	return true;
}

/* Of "a+b", a. */
static bool first_name(char *dst, const char *src)
{
	return set_name(dst, src, strcspn(src, "+"));
}

static struct name **find_name(struct chariot_guard *g, const char *name)
{
	struct name **n = &g->drivers;

	while (*n && strcmp((*n)->name, name))
		n = &(*n)->next;
	return n;
}

/* The module of a driver of ours; *@of (or NULL): of which. */
static struct module *find_module(struct chariot_guard *g, const char *name,
				  struct name **of)
{
	struct name *n;

	for (n = g->drivers; n; n = n->next)
		for (unsigned int i = 0; i < n->nr_modules; i++)
			if (!strcmp(n->modules[i].name, name)) {
				if (of)
					*of = n;
				return &n->modules[i];
			}
	return NULL;
}

/* Under g->lock, or of a driver that nobody else knows yet. */
static int add_module(struct chariot_guard *g, struct name *n, const char *name,
		      size_t len)
{
	char key[CHARIOT_NAME_LEN];
	struct name *of = NULL;

	set_name(key, name, len);
	for (unsigned int i = 0; i < n->nr_modules; i++)
		if (!strcmp(n->modules[i].name, key))
			return 0;
	if (find_module(g, key, &of) && of != n) {
		log_err("guard: %s is of driver %s already", key, of->name);
		return -EEXIST;
	}
	if (n->nr_modules == CHARIOT_MAX_MODULES) {
		log_err("guard: driver %s has more than %d modules", n->name,
			CHARIOT_MAX_MODULES);
		return -E2BIG;
	}
	strcpy(n->modules[n->nr_modules++].name, key);
	return 0;
}

/* All of "a+b+c", in which each is good. */
static int add_modules(struct chariot_guard *g, struct name *n, const char *name,
		       size_t len)
{
	const char *end = name + len;
	size_t one;
	int err;

	for (; name < end; name += one + 1) {
		one = strcspn(name, "+");
		if (one > (size_t)(end - name))
			one = end - name;
		err = add_module(g, n, name, one);
		if (err)
			return err;
	}
	n->nr_named = n->nr_modules;
	n->depends |= end[-1] == '+';
	return 0;
}

/* One that is there already may get more modules. */
static int insert_name(struct chariot_guard *g, const char *name, size_t len)
{
	size_t first = strcspn(name, "+") < len ? strcspn(name, "+") : len;
	char key[CHARIOT_NAME_LEN];
	struct name **at, *n;
	unsigned int had;
	int err;

	set_name(key, name, first);
	at = find_name(g, key);
	if (!*at && g->nr_drivers >= MAX_NAMES) {
		log_err("guard: more than %d drivers", MAX_NAMES);
		return -ENOSPC;
	}
	n = *at ?: calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	strcpy(n->name, key);
	had = n->nr_modules;
	err = add_modules(g, n, name, len);
	if (err && *at) {
		n->nr_modules = had;
	} else if (err) {
		free(n);
	} else if (!*at) {
		*at = n;
		g->nr_drivers++;
	}
	return err;
}

static int add_name(struct chariot_guard *g, const char *name, size_t len)
{
	int err;

	if (!chariot_name_ok(name, len)) {
		log_err("guard: \"%.*s\" is no name of a driver", (int)len,
			name);
		return -EINVAL;
	}
	pthread_mutex_lock(&g->lock);
	err = insert_name(g, name, len);
	pthread_mutex_unlock(&g->lock);
	return err;
}

static int add_names(struct chariot_guard *g, const char *list)
{
	size_t len;
	int err = 0;

	for (; list && *list && !err; list += len) {
		list += strspn(list, ", ");
		len = strcspn(list, ", ");
		err = len ? add_name(g, list, len) : 0;
	}
	return err;
}

static void remove_name(struct chariot_guard *g, const char *name)
{
	struct name **at = find_name(g, name), *n = *at;

	pthread_mutex_lock(&g->lock);
	if (n) {
		*at = n->next;
		g->nr_drivers--;
		free(n);
	}
	pthread_mutex_unlock(&g->lock);
}

/* ---- watches ------------------------------------------------------------ */

static void set_armed(struct chariot_guard *g, uint32_t flags)
{
	pthread_mutex_lock(&g->lock);
	g->armed = flags;
	pthread_mutex_unlock(&g->lock);
}

static int arm(struct chariot_guard *g, uint32_t flags, uint64_t load_gva)
{
	bool ask = flags & CHARIOT_WATCH_LOAD &&
		   policy_evidence(g->policy) != EVIDENCE_OFF;
	bool image = flags & CHARIOT_WATCH_LOAD && g->deliver;
	int err = vm_watch(g->vm, flags | (ask ? CHARIOT_WATCH_ASK : 0) |
			   (image ? CHARIOT_WATCH_IMAGE : 0),
			   g->o.timeout_ms, load_gva,
			   image ? deliver_point(g->deliver) : 0,
			   image ? deliver_site(g->deliver) : 0);

	if (!err)
		set_armed(g, flags);
	return err;
}

static void watch_kernel(struct chariot_guard *g)
{
	int err = arm(g, CHARIOT_WATCH_KERNEL, 0);

	if (err)
		failed(g, err, err == -EBUSY ?
		       "another handle watches this VM already" :
		       "cannot watch for the guest's kernel");
}

/* ---- images ------------------------------------------------------------- */

static bool image_wanted(void *ctx, const char *name)
{
	return find_module(ctx, name, NULL);
}

static void *make_image(void *ctx, const char *name, const void *image, size_t len,
			size_t *new_len, char *why)
{
	struct chariot_guard *g = ctx;

	return policy_mode(g->policy) == CHARIOT_MODE_INLINE ?
	       instruments_make(g->instruments, g->vm->profile, name, image, len, new_len,
				why) : image_marked(image, len, new_len);
}

static void image_done(void *ctx, const char *name, size_t len, size_t new_len)
{
	log_info("%s: the guest has got an image of %zu bytes for one of %zu", name,
		 new_len, len);
}

static void image_failed(void *ctx, const char *name, int err, const char *why)
{
	struct chariot_guard *g = ctx;

	chariot_inline__free(instruments_take(g->instruments, name));
	failed(g, err, "%s is loaded as it is, and isolated in mode strict: %s", name, why);
}

static void forget_images(struct chariot_guard *g)
{
	deliver_free(g->deliver);
	g->deliver = NULL;
	instruments_forget(g->instruments);
}

/* For mode inline; or for tests, where it is a copy with a mark. */
static void prepare_images(struct chariot_guard *g)
{
	static const struct deliver_ops ops = {
		.wanted = image_wanted, .make = make_image, .done = image_done,
		.failed = image_failed,
	};

	if (g->deliver || (policy_mode(g->policy) != CHARIOT_MODE_INLINE &&
			   !secure_getenv("CHARIOT_DELIVER")))
		return;
	g->deliver = deliver_new(g->vm, &ops, g);
	if (!g->deliver)
		failed(g, -errno, "drivers' images cannot be exchanged in this guest");
}

static void watch_load(struct chariot_guard *g)
{
	uint64_t at = chariot_profile__load_point(g->vm->profile,
						  chariot_vm__space(g->vm));
	int err = at ? 0 : -errno;

	prepare_images(g);
	if (!err)
		err = arm(g, CHARIOT_WATCH_LOAD, at);
	if (err && at && g->deliver) {
		failed(g, err, "drivers' images cannot be exchanged on this host");
		forget_images(g);
		err = arm(g, CHARIOT_WATCH_LOAD, at);
	}
	if (err)
		failed(g, err, "cannot watch the guest loading drivers");
	else
		log_info("waiting for the guest to load drivers");
}

/* What the list of drivers asks for. */
static void update_watch(struct chariot_guard *g)
{
	if (!g->drivers) {
		if (g->armed)
			arm(g, 0, 0);
	} else if (!g->vm->profile) {
		if (!(g->armed & CHARIOT_WATCH_KERNEL))
			watch_kernel(g);
	} else if (!(g->armed & CHARIOT_WATCH_LOAD)) {
		watch_load(g);
	}
}

static void forget_live(struct chariot_guard *g, uint32_t domain);

static void forget_evidence(struct chariot_guard *g)
{
	evidence_free(g->evidence);
	g->evidence = NULL;
	g->no_evidence = false;
}

/* No module is loaded now; which ones a driver needs another kernel may see
 * otherwise. */
static void forget_modules(struct chariot_guard *g)
{
	pthread_mutex_lock(&g->lock);
	for (struct name *n = g->drivers; n; n = n->next) {
		n->nr_modules = n->nr_named;
		n->domain = 0;
		for (unsigned int i = 0; i < n->nr_modules; i++)
			n->modules[i].in = false;
	}
	pthread_mutex_unlock(&g->lock);
}

static void start_over(struct chariot_guard *g)
{
	forget_evidence(g);
	forget_images(g);
	forget_live(g, 0);
	probation_end(g->probation);
	forget_modules(g);
	vm_forget_kernel(g->vm);
	memset(g->vm->names, 0, sizeof(g->vm->names));
	set_armed(g, 0);
	g->dead = false;
	update_watch(g);
}

/* ---- events ------------------------------------------------------------- */

static bool was_reset(struct chariot_guard *g)
{
	bool yes;

	pthread_mutex_lock(&g->lock);
	yes = g->resets != g->resets_done;
	pthread_mutex_unlock(&g->lock);
	return yes;
}

static uint32_t current_verdict(struct chariot_guard *g);
static struct live *find_live(struct chariot_guard *g, uint32_t domain);
static int isolate(struct chariot_guard *g, struct name *n, struct module *m,
		   uint64_t module, bool live, const char **what);

/* Its domain is one of which not all is known. */
static int note_live(struct chariot_guard *g, struct name *n, uint32_t domain)
{
	struct live *l = find_live(g, domain) ? NULL : calloc(1, sizeof(*l));

	if (!l)
		return find_live(g, domain) ? 0 : -ENOMEM;
	snprintf(l->name, sizeof(l->name), "%s", n->name);
	l->domain = domain;
	l->next = g->live;
	g->live = l;
	probation_leave(g->probation, domain);
	return chariot_vm__set_verdict(g->vm, domain, CHARIOT_VERDICT_REPORT);
}

/* One that is loaded already. */
static void isolate_live(struct chariot_guard *g, struct name *n,
			 struct module *m, uint64_t module)
{
	const char *what;
	int nr = isolate(g, n, m, module, true, &what);

	if (nr >= 0) {
		what = "its verdict cannot be set";
		nr = note_live(g, n, nr);
	}
	if (nr < 0) {
		failed(g, nr, "%s is loaded, and NOT isolated: %s", m->name, what);
		return;
	}
	log_info("%s is loaded already: %s verdict is report until the guest loads it anew",
		 m->name, n->nr_modules > 1 ? "its driver's" : "its");
}

/* Of "name+", whose first module is at @module: what it depends on. */
static void find_depends(struct chariot_guard *g, struct name *n, uint64_t module)
{
	const struct chariot_space *s = chariot_vm__space(g->vm);
	char name[CHARIOT_NAME_LEN], key[CHARIOT_NAME_LEN];
	uint64_t deps[CHARIOT_MAX_MODULES];
	int nr, err = 0;

	nr = driver_depends(g->vm->profile, s, module, deps, ARRAY_SIZE(deps));
	if (nr < 0)
		failed(g, nr, "%s: cannot tell which modules it depends on",
		       n->name);
	for (int i = 0; i < nr && !err; i++) {
		err = driver_read_name(g->vm->profile, s, deps[i], name);
		/* It has it, or the operator has given it to another one. */
		if (err || !chariot_name_ok(name, strlen(name)) ||
		    strchr(name, '+') || !set_name(key, name, strlen(name)) ||
		    find_module(g, key, NULL))
			continue;
		pthread_mutex_lock(&g->lock);
		err = add_module(g, n, key, strlen(key));
		pthread_mutex_unlock(&g->lock);
	}
	if (err)
		failed(g, err, "%s: not all modules that it depends on are isolated with it",
		       n->name);
}

/* Of @n what is loaded, and is not in its domain yet; with @live not what has a LOAD
 * event to come. */
static void isolate_loaded(struct chariot_guard *g, struct name *n, bool live)
{
	const struct chariot_space *s = chariot_vm__space(g->vm);
	uint64_t module;

	if (n->nr_modules == 1 &&
	    chariot_vm__domain_by_name(g->vm, n->name) > 0)
		return;
	module = n->depends ? chariot_driver__find(g->vm->profile, s, n->name) : 0;
	if (module)
		find_depends(g, n, module);
	for (unsigned int i = 0; i < n->nr_modules; i++) {
		module = n->modules[i].in ? 0 :
			 chariot_driver__find(g->vm->profile, s,
					      n->modules[i].name);
		if (module && (!live || driver_is_live(g->vm->profile, s, module)))
			isolate_live(g, n, &n->modules[i], module);
	}
}

/* Not again when it has failed too often in too short a time. */
static bool may_restart(struct chariot_guard *g, struct name *n)
{
	unsigned int max, seconds;
	time_t oldest;

	policy_restart(g->policy, &max, &seconds);
	if (n->nr_faults < max)
		return true;
	if (max > POLICY_MAX_RESTARTS)
		max = POLICY_MAX_RESTARTS;
	oldest = max ? n->faults[(n->nr_faults - max) % POLICY_MAX_RESTARTS] : 0;
	if (max && now() - oldest > seconds)
		return true;
	failed(g, -ECANCELED, "%s has failed %u times in %u s: when it fails again, it will not be restarted",
	       n->name, max, seconds);
	return false;
}

static void note_fault(struct chariot_guard *g, const struct chariot_event *ev)
{
	struct chariot_domain_info i = {};
	struct name *n;

	if (chariot_vm__domain_info(g->vm, ev->domain, &i))
		return;
	n = *find_name(g, i.name);
	if (n)
		n->faults[n->nr_faults++ % POLICY_MAX_RESTARTS] = now();
}

static struct live *find_live(struct chariot_guard *g, uint32_t domain)
{
	struct live *l = g->live;

	while (l && l->domain != domain)
		l = l->next;
	return l;
}

/* What such a driver writes is its own, as far as anybody knows. */
static void learn_write(struct chariot_guard *g, const struct chariot_event *ev)
{
	struct live *l = find_live(g, ev->domain);
	struct chariot_grant gr = {
		.argsz = sizeof(gr), .domain = ev->domain,
		.source = CHARIOT_SRC_LEARNED,
	};
	struct object o;
	int err;

	if (!l || ev->u.violation.why != CHARIOT_WHY_WRITE ||
	    !ev->u.violation.gva || !g->vm->profile)
		return;
	gr.gva = ev->u.violation.gva;
	gr.len = ev->u.violation.len ?: 1;
	err = vm_object_at(g->vm, gr.gva, &o);
	if (!err && o.never == OBJECT_MAY) {
		gr.gva = o.start;
		gr.len = o.len;
	} else {
		log_debug("%s: %#llx is no object that a driver has", l->name,
			  (unsigned long long)gr.gva);
	}
	err = vm_call(g->vm->fd, CHARIOT_GRANT, &gr);
	if (err < 0)
		log_warn("%s: cannot grant what it writes: %s", l->name,
			 strerror(-err));
}

static void on_kernel(struct chariot_guard *g, const struct chariot_event *ev)
{
	struct name *n;
	int err;

	/* The module sends it once. */
	set_armed(g, g->armed & ~CHARIOT_WATCH_KERNEL);
	log_info("reading the guest's kernel");
	forget_evidence(g);
	forget_images(g);
	err = vm_make_profile(g->vm, ev->u.kernel.lstar);
	if (err) {
		failed(g, err, "cannot read the guest's kernel, nothing will be isolated");
		return;
	}
	log_info("guest kernel %s, %zu symbols",
		 chariot_profile__release(g->vm->profile),
		 chariot_profile__nr_symbols(g->vm->profile));
	update_watch(g);
	/* A guest that has booted long ago. */
	for (n = g->drivers; n; n = n->next)
		isolate_loaded(g, n, false);
}

static uint32_t current_verdict(struct chariot_guard *g)
{
	uint32_t v;

	pthread_mutex_lock(&g->lock);
	v = g->verdict;
	pthread_mutex_unlock(&g->lock);
	return v;
}

static void forget_live(struct chariot_guard *g, uint32_t domain)
{
	struct live **at = &g->live, *l;

	while ((l = *at)) {
		if (domain && l->domain != domain) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
	}
}

/* Which of the drivers that it was told of: each has its place in the guest. */
static unsigned int slot_of(struct chariot_guard *g, const char *name)
{
	struct name *n = g->drivers;
	unsigned int i = 0;

	for (; n && strcmp(n->name, name); n = n->next)
		i++;
	return i;
}

static bool can_unbind(const struct chariot_domain_create *c)
{
	const struct chariot_gate *g = (const void *)(uintptr_t)c->entries;

	for (uint32_t i = 0; i < c->nr_entries; i++)
		if (g[i].flags & CHARIOT_GATE_REMOVE)
			return true;
	return false;
}

/* Those that are loaded anew: all that the domain has with this one. */
static void list_modules(const struct name *n, const struct module *m, char *text,
			 size_t size)
{
	size_t len = 0;

	text[0] = 0;
	for (unsigned int i = 0; i < n->nr_modules; i++)
		if ((n->modules[i].in || &n->modules[i] == m) && len < size)
			len += snprintf(text + len, size - len, "%s%s",
					len ? " " : "", n->modules[i].name);
}

static void prepare_recovery(struct chariot_guard *g, const struct name *n,
			     const struct module *mod,
			     struct chariot_domain_create *c, uint64_t module)
{
	/* More than there is room for in the guest. */
	char modules[CHARIOT_MAX_MODULES * CHARIOT_NAME_LEN];
	const struct recover_module m = {
		.name = n->name, .modules = modules, .module = module,
		.slot = slot_of(g, n->name), .several = n->nr_modules > 1,
		.restart = n->restart, .unbind = n->unbind,
	};
	int err;

	list_modules(n, mod, modules, sizeof(modules));
	err = recover_prepare(&c->recover, g->vm->profile,
			      chariot_vm__space(g->vm), &m);

	if (!err)
		return;
	memset(&c->recover, 0, sizeof(c->recover));
	if (c->verdict != CHARIOT_VERDICT_RECOVER)
		return;
	c->verdict = CHARIOT_VERDICT_SKIP;
	failed(g, err, "%s cannot be recovered: its verdict is skip", c->name);
}

/* Its domain, which has other modules of it already; 0: there is none. */
static uint32_t domain_of(struct chariot_guard *g, const struct name *n)
{
	int nr = n->nr_modules > 1 ?
		 chariot_vm__domain_by_name(g->vm, n->name) : 0;

	return nr > 0 ? nr : 0;
}

/* The domain's number, a new one's or the one that it is added to; or -errno. */
static int create_domain(struct chariot_guard *g, struct name *n,
			 struct module *m, struct chariot_tables *t,
			 uint64_t module, uint32_t verdict)
{
	struct chariot_domain_create c = *chariot_tables__create(t);
	int nr;

	c.verdict = verdict;
	c.domain = domain_of(g, n);
	if (n->nr_modules > 1) {
		strcpy(c.module, m->name);
		strcpy(c.name, n->name);
	}
	if (!c.domain)
		n->restart = may_restart(g, n);
	n->unbind = (c.domain && n->unbind) || can_unbind(&c);
	prepare_recovery(g, n, m, &c, module);
	nr = device_supports(vm_call(g->vm->fd, c.domain ? CHARIOT_DOMAIN_ADD :
					   CHARIOT_DOMAIN_CREATE, &c));
	if (!nr)
		nr = c.domain;
	/* A reset that came in between has not seen this domain. */
	if (nr > 0 && was_reset(g))
		chariot_vm__drop(g->vm, nr);
	m->in = nr > 0;
	if (nr > 0)
		n->domain = nr;
	return nr;
}

/*
 * With verdict auto it depends on what is known of this build; of a driver of several
 * modules on that of the first one that is loaded.
 */
static int create_by_build(struct chariot_guard *g, struct name *n,
			   struct module *m, struct chariot_tables *t,
			   uint64_t module, const struct chariot_driver *d)
{
	uint32_t v = current_verdict(g);
	bool by_build = v == CHARIOT_VERDICT_AUTO;
	struct chariot_domain_info info;
	struct probation_build *b;
	int nr;

	if (domain_of(g, n)) {
		/* It has one, which the module knows: not auto. */
		if (chariot_vm__domain_info(g->vm, domain_of(g, n), &info))
			return -ENOENT;
		return create_domain(g, n, m, t, module, info.verdict);
	}
	b = probation_build(g->probation, g->vm->profile, d);
	if (by_build)
		v = b ? probation_verdict(g->probation, b) :
			CHARIOT_VERDICT_REPORT;
	nr = create_domain(g, n, m, t, module, v);
	if (nr > 0 && b)
		probation_begin(g->probation, g->vm, nr, b,
				!by_build || v != CHARIOT_VERDICT_REPORT);
	return nr;
}

/* Can it be looked for?  That it cannot is told once. */
static bool has_evidence(struct chariot_guard *g)
{
	if (g->evidence || !g->vm->profile || g->no_evidence)
		return g->evidence;
	g->evidence = evidence_new(g->vm);
	if (!g->evidence) {
		g->no_evidence = true;
		failed(g, -errno, "cannot look for evidence");
	}
	return g->evidence;
}

/* With its checks, in mode inline, if @x; the domain's number, or -errno. */
static int isolate_with(struct chariot_guard *g, struct name *n, struct module *m,
			uint64_t module, bool live, const struct chariot_driver *d,
			struct chariot_inline *x, const char **what)
{
	const struct chariot_space *s = chariot_vm__space(g->vm);
	uint32_t mode = policy_mode(g->policy);
	struct instrument in = {};
	struct chariot_tables *t;
	int err;

	if (x || mode == CHARIOT_MODE_INLINE)
		mode = x ? CHARIOT_MODE_INLINE : CHARIOT_MODE_STRICT;
	*what = "cannot make its tables";
	t = tables_build(g->policy, g->vm->profile, s, d, mode);
	err = t ? 0 : -errno ?: -EIO;
	if (!err && x) {
		*what = "cannot prepare its checks";
		err = instrument_load(&in, x, g->vm->profile, s, module, d, t);
	}
	if (!err) {
		*what = "the module refused";
		err = live ? create_domain(g, n, m, t, module, CHARIOT_VERDICT_REPORT) :
			     create_by_build(g, n, m, t, module, d);
	}
	instrument_free(&in);
	chariot_tables__free(t);
	return err;
}

/* Its checks are there, and nobody will answer them. */
static void silence(struct chariot_guard *g, const char *name, struct chariot_inline *x,
		    uint64_t module, int err, const char *what)
{
	failed(g, err, "%s is isolated in mode strict: %s in mode inline", name, what);
	err = instrument_off(x, g->vm->profile, chariot_vm__space(g->vm), module);
	if (err)
		failed(g, err, "%s: its checks cannot be switched off", name);
}

/* The domain's number, or -errno. */
static int isolate(struct chariot_guard *g, struct name *n, struct module *m,
		   uint64_t module, bool live, const char **what)
{
	struct chariot_inline *x = instruments_take(g->instruments, m->name);
	struct chariot_driver *d;
	bool more = domain_of(g, n);
	int err;

	*what = "cannot read the driver";
	d = chariot_driver__from_guest(g->vm->profile, chariot_vm__space(g->vm), module);
	err = d ? isolate_with(g, n, m, module, live, d, x, what) : -errno ?: -EIO;
	if (err < 0 && x) {
		silence(g, m->name, x, module, err, *what);
		if (d)
			err = isolate_with(g, n, m, module, live, d, NULL, what);
	}
	if (err > 0 && !more)
		sweep_forget(g->sweep, err);
	if (err > 0 && policy_evidence(g->policy) != EVIDENCE_OFF && has_evidence(g) &&
	    evidence_driver(g->evidence, err, d, more))
		log_warn("%s: no memory for what it imports", m->name);
	chariot_inline__free(x);
	chariot_driver__free(d);
	return err;
}

/* Are there others of its driver that were loaded without us? */
static bool has_live(struct chariot_guard *g, const struct name *n,
		     const struct module *m)
{
	const struct chariot_space *s = chariot_vm__space(g->vm);
	uint64_t module;

	for (unsigned int i = 0; i < n->nr_modules; i++) {
		if (n->modules[i].in || &n->modules[i] == m)
			continue;
		module = chariot_driver__find(g->vm->profile, s,
					      n->modules[i].name);
		/* Another one's LOAD event may wait. */
		if (module && driver_is_live(g->vm->profile, s, module))
			return true;
	}
	return false;
}

/* The guest is about to run the init of @m, a module of @n. */
static void load(struct chariot_guard *g, struct name *n, struct module *m,
		 uint64_t module)
{
	const char *what;
	bool live;
	int nr;

	if (n->depends && m == n->modules)
		find_depends(g, n, module);
	live = has_live(g, n, m);
	nr = isolate(g, n, m, module, live, &what);
	if (nr < 0)
		failed(g, nr, "%s is NOT isolated: %s", m->name, what);
	else if (live)
		isolate_loaded(g, n, true);
}

static void on_load(struct chariot_guard *g, const struct chariot_event *ev)
{
	struct name *n;
	struct module *m;
	char name[CHARIOT_NAME_LEN], key[CHARIOT_NAME_LEN];
	int err;

	/* From before a reset: that kernel is gone. */
	if (!g->vm->profile)
		return;
	err = driver_read_name(g->vm->profile, chariot_vm__space(g->vm),
			       ev->u.load.module, name);
	if (err) {
		failed(g, err, "cannot read the name of the driver that the guest loads");
		return;
	}
	m = set_name(key, name, strlen(name)) ? find_module(g, key, &n) : NULL;
	if (!m) {
		log_debug("the guest loads %s: not asked for", name);
		return;
	}
	log_info("the guest loads %s", name);
	m->in = false;
	load(g, n, m, ev->u.load.module);
}

/* A domain has gone, or one module of it. */
static void on_gone(struct chariot_guard *g, const struct chariot_event *ev)
{
	bool all = ev->type == CHARIOT_EV_DOMAIN_GONE;
	struct name *n = g->drivers;

	if (all)
		forget_live(g, ev->domain);
	while (n && n->domain != ev->domain)
		n = n->next;
	for (unsigned int i = 0; n && i < n->nr_modules; i++)
		if (all || chariot_same_driver(n->modules[i].name,
					       ev->u.name.name))
			n->modules[i].in = false;
	if (n && all)
		n->domain = 0;
}

static void release(struct chariot_guard *g, const char *name)
{
	int nr = chariot_vm__domain_by_name(g->vm, name);
	char first[CHARIOT_NAME_LEN];

	if (first_name(first, name))
		remove_name(g, first);
	if (nr > 0)
		nr = chariot_vm__drop(g->vm, nr);
	if (nr < 0 && nr != -ENOENT)
		failed(g, nr, "%s: cannot end its isolation", name);
}

static void ask_isolate(struct chariot_guard *g, const char *name)
{
	int err = add_name(g, name, strlen(name));
	char first[CHARIOT_NAME_LEN];

	if (err) {
		failed(g, err, "cannot isolate %s", name);
		return;
	}
	first_name(first, name);
	if (g->vm->profile)
		isolate_loaded(g, *find_name(g, first), false);
}

static void on_request(struct chariot_guard *g, const struct chariot_event *ev)
{
	char name[CHARIOT_NAME_LEN];
	size_t len = strnlen(ev->u.request.name, CHARIOT_NAME_LEN);

	if (!set_name(name, ev->u.request.name, len))
		return;
	if (ev->u.request.what == CHARIOT_REQUEST_ISOLATE)
		ask_isolate(g, name);
	else if (ev->u.request.what == CHARIOT_REQUEST_RELEASE)
		release(g, name);
	update_watch(g);
}

/* True: no driver ever writes there. */
static bool on_ask(struct chariot_guard *g, const struct chariot_event *ev)
{
	bool grant = policy_evidence(g->policy) == EVIDENCE_ON;
	char what[256], why[512] = "";
	bool never;
	int r;

	if (!has_evidence(g))
		return false;
	r = evidence_look(g->evidence, ev, grant, &never, why, sizeof(why));
	g->no.rip = ev->u.violation.rip;
	g->no.gva = ev->u.violation.gva;
	snprintf(g->no.why, sizeof(g->no.why), "%.*s",
		 (int)sizeof(g->no.why) - 1, r ? "" : why);
	chariot_vm__describe(g->vm, ev, what, sizeof(what));
	if (r < 0)
		log_warn("%s: %s", what, strerror(-r));
	else if (r && !grant)
		log_warn("%s would be granted: %s", what, why);
	else
		log_debug("%s %s: %s", what, r ? "Yes" : "No", why);
	return !r && never;
}

static void handle(struct chariot_guard *g, const struct chariot_event *ev)
{
	bool never;

	switch (ev->type) {
	case CHARIOT_EV_KERNEL:
		on_kernel(g, ev);
		break;
	case CHARIOT_EV_LOAD:
		on_load(g, ev);
		break;
	case CHARIOT_EV_IMAGE:
		/* Else from before a reset: nobody waits. */
		if (g->deliver)
			deliver_event(g->deliver, ev);
		else
			vm_continue(g->vm, ev->seq, 0);
		return;
	case CHARIOT_EV_REQUEST:
		on_request(g, ev);
		break;
	case CHARIOT_EV_RESET:
		start_over(g);
		break;
	case CHARIOT_EV_ASK:
		/* On probation the driver is not stopped, but for that. */
		never = on_ask(g, ev) && g->applied == CHARIOT_VERDICT_AUTO;
		vm_continue(g->vm, ev->seq,
			    never ? CHARIOT_CONTINUE_NEVER : 0);
		return;
	case CHARIOT_EV_VIOLATION:
		learn_write(g, ev);
		probation_violation(g->probation, g->vm, ev);
		break;
	case CHARIOT_EV_FAULT:
		note_fault(g, ev);
		break;
	case CHARIOT_EV_DOMAIN_GONE:
		probation_gone(g->probation, g->vm, ev->domain);
		/* fallthrough */
	case CHARIOT_EV_MODULE_GONE:
		on_gone(g, ev);
		break;
	}
	/* Whatever happened: a guest never hangs on us. */
	if (ev->flags & CHARIOT_EV_WAITS && ev->type != CHARIOT_EV_VIOLATION)
		vm_continue(g->vm, ev->seq, 0);
	tell(g, ev);
}

/* ---- the thread --------------------------------------------------------- */

/* Nothing is armed now, so what is queued is of the old kernel. */
static void drop_stale(struct chariot_guard *g)
{
	struct chariot_event ev;

	while (chariot_vm__next_event(g->vm, &ev, 0) == 1)
		if (ev.type != CHARIOT_EV_KERNEL && ev.type != CHARIOT_EV_LOAD &&
		    ev.type != CHARIOT_EV_IMAGE)
			handle(g, &ev);
}

static void do_reset(struct chariot_guard *g)
{
	log_info("the guest was reset");
	drop_stale(g);
	start_over(g);
}

/* True: stop. */
static bool woken(struct chariot_guard *g)
{
	char asked[CHARIOT_NAME_LEN];
	unsigned int resets, done;
	uint64_t n;
	bool stop;

	if (read(g->wake, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warn("guard: %s", strerror(errno));
	pthread_mutex_lock(&g->lock);
	stop = g->stop;
	resets = g->resets;
	done = g->resets_done;
	g->resets_done = resets;
	memcpy(asked, g->asked, sizeof(asked));
	pthread_mutex_unlock(&g->lock);
	if (!stop && resets != done)
		do_reset(g);
	if (stop || !asked[0])
		return stop;
	ask_isolate(g, asked);
	update_watch(g);
	pthread_mutex_lock(&g->lock);
	g->asked[0] = 0;
	pthread_mutex_unlock(&g->lock);
	return false;
}

static void drain(struct chariot_guard *g)
{
	struct chariot_event ev;
	int r = 0;

	while (!was_reset(g) &&
	       (r = chariot_vm__next_event(g->vm, &ev, 0)) == 1)
		handle(g, &ev);
	if (r >= 0)
		return;
	g->dead = true;
	failed(g, r, "no more events of this VM: its isolation has ended");
}

/* Which drivers have proved themselves by now?  Or has the verdict changed? */
static void check_probation(struct chariot_guard *g)
{
	uint32_t v = current_verdict(g);

	if (v != g->applied) {
		g->applied = v;
		probation_apply(g->probation, g->vm, v);
	}
	if (!g->dead && !was_reset(g) && !probation_timeout(g->probation))
		probation_check(g->probation, g->vm);
}

static int guard_timeout(const struct chariot_guard *g)
{
	int a = probation_timeout(g->probation), b = sweep_timeout(g->sweep, now_ms());

	/* A dead VM would wake us all the time. */
	if (g->dead)
		return -1;
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

static void *guard_main(void *arg)
{
	struct chariot_guard *g = arg;
	struct pollfd p[2] = { { .fd = g->wake, .events = POLLIN } };
	int r;

	update_watch(g);
	for (;;) {
		/* A dead VM would wake us all the time. */
		p[1].fd = g->dead ? -1 : chariot_vm__fd(g->vm);
		p[1].events = POLLIN;
		r = poll(p, 2, guard_timeout(g));
		if (r < 0 && errno != EINTR) {
			failed(g, -errno, "guard: poll");
			break;
		}
		if (p[0].revents && woken(g))
			break;
		if (r > 0 && p[1].revents)
			drain(g);
		check_probation(g);
		if (!g->dead && !was_reset(g) && g->evidence)
			sweep_run(g->sweep, g->vm, evidence_objects(g->evidence),
				  now_ms());
	}
	return NULL;
}

/* ---- interface ---------------------------------------------------------- */

static void guard_free(struct chariot_guard *g)
{
	struct name *n;

	forget_live(g, 0);
	evidence_free(g->evidence);
	deliver_free(g->deliver);
	instruments_free(g->instruments);
	sweep_free(g->sweep);
	while ((n = g->drivers)) {
		g->drivers = n->next;
		free(n);
	}
	if (g->wake >= 0)
		close(g->wake);
	probation_free(g->probation);
	chariot_policy__free(g->policy);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

static bool good_verdict(uint32_t verdict)
{
	return verdict < CHARIOT_NR_VERDICTS || verdict == CHARIOT_VERDICT_AUTO;
}

static int guard_init(struct chariot_guard *g,
		      const struct chariot_guard_opts *o)
{
	size_t sz = o && o->sz < sizeof(g->o) ? o->sz : sizeof(g->o);

	if (!o || sz < offsetof(struct chariot_guard_opts, verdict))
		return -EINVAL;
	memcpy(&g->o, o, sz);
	if (!g->o.timeout_ms)
		g->o.timeout_ms = DEFAULT_TIMEOUT;
	g->verdict = g->applied = g->o.verdict;
	if (!good_verdict(g->verdict))
		return -EINVAL;
	g->policy = chariot_policy__load(g->o.policies);
	if (!g->policy)
		return -errno;
	g->probation = probation_new(g->o.state_dir, g->policy);
	g->sweep = sweep_new();
	g->instruments = instruments_new();
	if (!g->probation || !g->sweep || !g->instruments)
		return -ENOMEM;
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake < 0)
		return -errno;
	return add_names(g, g->o.drivers);
}

struct chariot_guard *chariot_guard__start(struct chariot_vm *vm,
					   const struct chariot_guard_opts *o)
{
	struct chariot_guard *g = calloc(1, sizeof(*g));
	int err;

	if (!g)
		return NULL;
	g->wake = -1;
	g->vm = vm;
	pthread_mutex_init(&g->lock, NULL);
	err = guard_init(g, o);
	/* A host that cannot do it is an error here; others are events. */
	if (!err && g->drivers && arm(g, CHARIOT_WATCH_KERNEL, 0) == -EOPNOTSUPP)
		err = -EOPNOTSUPP;
	if (!err)
		err = -pthread_create(&g->thread, NULL, guard_main, g);
	if (err) {
		guard_free(g);		/* @vm stays the caller's */
		return err_null(err);
	}
	return g;
}

static void wake(struct chariot_guard *g)
{
	uint64_t one = 1;

	if (write(g->wake, &one, sizeof(one)) < 0)
		log_warn("guard: cannot wake its thread: %s", strerror(errno));
}

/* Nothing of ours stays in the guest, but for what it may still be about to use. */
static void clean_guest(struct chariot_guard *g, bool used)
{
	if (!g->vm->profile)
		return;
	if (used)
		log_info("a driver has failed: the code that ends its calls stays in unused kernel text");
	else
		recover_undo(g->vm->profile, chariot_vm__space(g->vm));
}

void chariot_guard__stop(struct chariot_guard *g)
{
	struct chariot_stats st = {};
	struct chariot_vm_info i;
	int err;

	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_mutex_unlock(&g->lock);
	wake(g);
	pthread_join(g->thread, NULL);
	vm_watch(g->vm, 0, 0, 0, 0, 0);
	probation_check(g->probation, g->vm);	/* all that was counted */
	if (!chariot_vm__info(g->vm, &i))
		for (uint32_t nr = 1; nr < NR_DOMAINS; nr++)
			if (i.domains & 1U << nr)
				chariot_vm__drop(g->vm, nr);
	err = chariot_vm__stats(g->vm, 0, &st);
	clean_guest(g, err || st.faults || st.refused);
	chariot_vm__free(g->vm);
	guard_free(g);
}

int chariot_guard__reset(struct chariot_guard *g)
{
	struct chariot_reset r = { .argsz = sizeof(r) };
	int err;

	/*
	 * Count first: a domain that the thread makes just now is either
	 * dropped by the ioctl, or by the thread, which sees the count.
	 */
	pthread_mutex_lock(&g->lock);
	g->resets++;
	pthread_mutex_unlock(&g->lock);
	err = vm_call(g->vm->fd, CHARIOT_RESET, &r);
	wake(g);
	return err;
}

int chariot_guard__stats(struct chariot_guard *g, const char *name,
			 struct chariot_stats *st)
{
	int nr = name ? chariot_vm__domain_by_name(g->vm, name) : 0;

	return nr < 0 ? nr : chariot_vm__stats(g->vm, nr, st);
}

int chariot_guard__set_verdict(struct chariot_guard *g, uint32_t verdict)
{
	struct chariot_vm_info i;
	int err;

	if (!good_verdict(verdict))
		return -EINVAL;
	pthread_mutex_lock(&g->lock);
	g->verdict = verdict;
	pthread_mutex_unlock(&g->lock);
	wake(g);
	/* The thread knows their builds. */
	if (verdict == CHARIOT_VERDICT_AUTO)
		return 0;
	err = chariot_vm__info(g->vm, &i);
	for (uint32_t nr = 1; !err && nr < NR_DOMAINS; nr++)
		if (i.domains & 1U << nr)
			err = chariot_vm__set_verdict(g->vm, nr, verdict);
	return err == -ENOENT ? 0 : err;
}

int chariot_guard__ask(struct chariot_guard *g, const char *name)
{
	char asked[CHARIOT_NAME_LEN];
	int err = 0;

	if (!name || !chariot_name_ok(name, strlen(name)))
		return -EINVAL;
	if (!set_name(asked, name, strlen(name)))
		return -EINVAL;
	pthread_mutex_lock(&g->lock);
	if (g->asked[0])
		err = -EBUSY;
	else
		memcpy(g->asked, asked, sizeof(asked));
	pthread_mutex_unlock(&g->lock);
	if (!err)
		wake(g);
	return err;
}

int chariot_guard__state(struct chariot_guard *g, const char *name)
{
	struct chariot_domain_info info = {};
	char wanted[CHARIOT_NAME_LEN];
	bool asked, listed, armed;
	int nr;

	if (!name || !first_name(wanted, name))
		return -EINVAL;
	nr = chariot_vm__domain_by_name(g->vm, wanted);
	if (nr > 0)
		nr = chariot_vm__domain_info(g->vm, nr, &info);
	if (!nr)
		return info.verdict == CHARIOT_VERDICT_REPORT ?
		       CHARIOT_DRIVER_REPORTED : CHARIOT_DRIVER_ISOLATED;
	if (nr != -ENOENT)
		return nr;
	pthread_mutex_lock(&g->lock);
	asked = chariot_same_driver(g->asked, wanted);
	listed = *find_name(g, wanted);
	armed = g->armed & CHARIOT_WATCH_LOAD;
	pthread_mutex_unlock(&g->lock);
	if (!asked && !listed)
		return CHARIOT_DRIVER_UNKNOWN;
	return !asked && armed ? CHARIOT_DRIVER_AWAITED : CHARIOT_DRIVER_ASKED;
}
