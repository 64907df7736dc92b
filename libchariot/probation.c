// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Verdict auto: the drivers of a guard that have proved themselves, and those that
 * have not yet.
 *
 * What a domain has been through without a report counts for its build.  It is added
 * to the build's file now and then, where other guards count, too, and where the
 * operator may have said something.  When nothing can be written there, it counts
 * for as long as the guard runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "policy.h"
#include "trust.h"

#define CHECK_S		5	/* between looks at counters and files */
#define SAVE_S		600	/* between additions to a file */
#define MAX_SITES	64	/* of reports, of a build */
#define MAX_BUILDS	256	/* of a guard: a guest may make up as many as it likes */

struct probation_build {
	struct probation_build *next;
	struct chariot_trust known;	/* as the file has it */
	struct chariot_trust fresh;	/* seen since: not in the file */
	struct trust_seen seen;		/* that file */
	int64_t saved;			/* when */
	uint64_t sites[MAX_SITES];	/* that have been reported */
	unsigned int nr_sites;
};

struct on_probation {
	struct probation_build *build;	/* NULL: no such domain */
	bool settled;			/* enforced, or somebody else has its verdict */
	bool suspect;			/* counters tell of more than events did */
	uint64_t entries, violations;	/* counted already */
	int64_t since;			/* time, as well */
};

struct probation {
	const char *dir;
	uint64_t entries, seconds;	/* the policy's */
	struct probation_build *builds;
	unsigned int nr_builds;
	struct on_probation domains[NR_DOMAINS];
	int64_t checked;
	bool told;			/* that nothing can be written */
};

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

struct probation *probation_new(const char *dir,
				const struct chariot_policy *policy)
{
	struct probation *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->dir = chariot_trust__dir(dir);
	policy_probation(policy, &p->entries, &p->seconds);
	return p;
}

/* ---- builds ------------------------------------------------------------- */

static void start_fresh(struct probation_build *b)
{
	b->fresh = b->known;
	b->fresh.state = CHARIOT_TRUST_PROBATION;
	b->fresh.entries = b->fresh.seconds = 0;
	b->fresh.reason[0] = b->fresh.rules[0] = 0;
}

/* In all, by what the file and this guard know. */
static uint32_t state_of(const struct probation_build *b)
{
	return b->known.state == CHARIOT_TRUST_PROBATION ? b->fresh.state :
							   b->known.state;
}

/* What the operator or another guard has said meanwhile. */
static void look(struct probation *p, struct probation_build *b)
{
	uint32_t was = state_of(b);

	if (!trust_changed(p->dir, &b->known, &b->seen))
		return;
	trust_lookup(p->dir, &b->known);
	if (was != CHARIOT_TRUST_HELD && state_of(b) == CHARIOT_TRUST_HELD)
		log_warn("%s: another guest's has been reported: its verdict stays report: %s",
			 b->known.driver, b->known.reason);
}

struct probation_build *probation_build(struct probation *p,
					const struct chariot_profile *profile,
					const struct chariot_driver *d)
{
	struct probation_build *b = p->builds;
	struct chariot_trust t;
	char name[TRUST_NAME_LEN], other[TRUST_NAME_LEN];

	trust_identify(&t, profile, d);
	trust_file_name(&t, name);
	for (; b; b = b->next) {
		trust_file_name(&b->known, other);
		if (!strcmp(name, other))
			break;
	}
	if (b) {
		look(p, b);
		return b;
	}
	if (p->nr_builds == MAX_BUILDS) {
		log_warn("%s: more than %d builds in this guest: its verdict is report",
			 t.driver, MAX_BUILDS);
		return NULL;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	p->nr_builds++;
	b->known = t;
	trust_changed(p->dir, &t, &b->seen);
	trust_lookup(p->dir, &b->known);
	start_fresh(b);
	b->saved = now();
	b->next = p->builds;
	p->builds = b;
	return b;
}

static bool has_news(const struct probation_build *b)
{
	return b->fresh.entries || b->fresh.seconds || b->fresh.rules[0] ||
	       b->fresh.state != CHARIOT_TRUST_PROBATION;
}

/* What could not be written is kept: it counts, and is tried again. */
static void save(struct probation *p, struct probation_build *b)
{
	struct chariot_trust all = b->fresh;
	int err;

	b->saved = now();
	if (!has_news(b) || b->known.state == CHARIOT_TRUST_PROVED)
		return;
	err = trust_add(p->dir, &all);
	if (!err) {
		b->known = all;
		start_fresh(b);
	} else if (!p->told) {
		p->told = true;
		log_warn("%s: %s: which drivers have proved themselves is known to this guard only",
			 p->dir, strerror(-err));
	}
}

void probation_free(struct probation *p)
{
	struct probation_build *b;

	if (!p)
		return;
	probation_end(p);
	while ((b = p->builds)) {
		p->builds = b->next;
		free(b);
	}
	free(p);
}

/* ---- what is done about them -------------------------------------------- */

uint32_t probation_verdict(const struct probation *p,
			   const struct probation_build *b)
{
	const struct chariot_trust *t = &b->known;
	const char *reason = *t->reason ? t->reason : b->fresh.reason;

	switch (state_of(b)) {
	case CHARIOT_TRUST_PROVED:
		log_info("%s: build %s has proved itself (%s)", t->driver,
			 t->module, chariot_trust_by_name(t->by));
		return CHARIOT_VERDICT_RECOVER;
	case CHARIOT_TRUST_HELD:
		log_warn("%s: its verdict stays report, until chariot driver trust %s: %s",
			 t->driver, t->driver, reason);
		return CHARIOT_VERDICT_REPORT;
	}
	log_warn("%s: on probation, its verdict is report: %llu of %llu entries and %llu of %llu s so far",
		 t->driver,
		 (unsigned long long)(t->entries + b->fresh.entries),
		 (unsigned long long)p->entries,
		 (unsigned long long)(t->seconds + b->fresh.seconds),
		 (unsigned long long)p->seconds);
	return CHARIOT_VERDICT_REPORT;
}

void probation_begin(struct probation *p, struct chariot_vm *vm,
		     uint32_t domain, struct probation_build *b, bool enforced)
{
	struct chariot_stats st = {};

	if (!domain || domain >= NR_DOMAINS)
		return;
	chariot_vm__stats(vm, domain, &st);
	p->domains[domain] = (struct on_probation){
		.build = b, .settled = enforced, .since = now(),
		.entries = st.entries, .violations = st.violations,
	};
}

bool probation_has(const struct probation *p, uint32_t domain)
{
	return domain < NR_DOMAINS && p->domains[domain].build &&
	       !p->domains[domain].settled;
}

static void set_verdict(struct chariot_vm *vm, uint32_t domain,
			const char *name, uint32_t verdict)
{
	int err = chariot_vm__set_verdict(vm, domain, verdict);

	if (err == -EOPNOTSUPP) {
		log_err("%s cannot be recovered: its verdict is skip", name);
		err = chariot_vm__set_verdict(vm, domain, CHARIOT_VERDICT_SKIP);
	}
	if (err && err != -ENOENT)
		log_err("%s: its verdict cannot be set: %s", name,
			strerror(-err));
}

static void enforce(struct probation *p, struct chariot_vm *vm, uint32_t domain)
{
	const struct chariot_trust *t = &p->domains[domain].build->known;

	p->domains[domain].settled = true;
	log_info("%s has proved itself (%s): its verdict is recover now",
		 t->driver, chariot_trust_by_name(t->by));
	set_verdict(vm, domain, t->driver, CHARIOT_VERDICT_RECOVER);
}

void probation_apply(struct probation *p, struct chariot_vm *vm,
		     uint32_t verdict)
{
	for (uint32_t nr = 1; nr < NR_DOMAINS; nr++) {
		struct probation_build *b = p->domains[nr].build;

		if (!b)
			continue;
		probation_begin(p, vm, nr, b, verdict != CHARIOT_VERDICT_AUTO);
		/* Whoever changed it has been told; again, as we may have come between. */
		if (verdict != CHARIOT_VERDICT_AUTO)
			chariot_vm__set_verdict(vm, nr, verdict);
		else if (probation_verdict(p, b) == CHARIOT_VERDICT_RECOVER)
			enforce(p, vm, nr);
		else
			set_verdict(vm, nr, b->known.driver,
				    CHARIOT_VERDICT_REPORT);
	}
}

static void hold(struct probation *p, struct probation_build *b,
		 const char *reason)
{
	snprintf(b->fresh.reason, sizeof(b->fresh.reason), "%s", reason);
	b->fresh.state = CHARIOT_TRUST_HELD;
	log_warn("%s: is not what its build was expected to do: its verdict stays report, until chariot driver trust %s",
		 b->known.driver, b->known.driver);
	save(p, b);
}

static bool is_new_site(struct probation_build *b, uint64_t rip)
{
	for (unsigned int i = 0; i < b->nr_sites; i++)
		if (b->sites[i] == rip)
			return false;
	if (b->nr_sites == MAX_SITES)
		return false;
	b->sites[b->nr_sites++] = rip;
	return true;
}

void probation_violation(struct probation *p, struct chariot_vm *vm,
			 const struct chariot_event *ev)
{
	struct on_probation *d = &p->domains[ev->domain % NR_DOMAINS];
	struct probation_build *b = d->build;
	char text[512], rule[256];
	size_t used;

	if (!probation_has(p, ev->domain) ||
	    ev->verdict != CHARIOT_VERDICT_REPORT)
		return;
	d->violations++;
	if (state_of(b) == CHARIOT_TRUST_PROVED ||
	    !is_new_site(b, ev->u.violation.caller ?: ev->u.violation.rip))
		return;
	chariot_vm__propose(vm, ev, rule, sizeof(rule));
	used = strlen(b->fresh.rules);
	if (*rule && used + strlen(rule) + 2 <= sizeof(b->fresh.rules))
		sprintf(b->fresh.rules + used, "%s\n", rule);
	if (state_of(b) == CHARIOT_TRUST_HELD)
		return;
	chariot_vm__describe(vm, ev, text, sizeof(text));
	hold(p, b, text);
}

/* ---- counting ----------------------------------------------------------- */

/* Time counts only while the verdict is report, and nothing was missed. */
static void count(struct probation *p, struct chariot_vm *vm, uint32_t nr,
		  int64_t at)
{
	struct on_probation *d = &p->domains[nr];
	struct chariot_domain_info info;
	struct chariot_stats st;
	char text[128];

	if (chariot_vm__stats(vm, nr, &st) ||
	    chariot_vm__domain_info(vm, nr, &info))
		return;
	if (info.verdict != CHARIOT_VERDICT_REPORT) {
		/* The operator's, for this domain. */
		d->settled = true;
		return;
	}
	if (state_of(d->build) == CHARIOT_TRUST_PROBATION) {
		d->build->fresh.entries += st.entries - d->entries;
		d->build->fresh.seconds += at - d->since;
	}
	d->entries = st.entries;
	d->since = at;
	/* Its event may be on the way; if it is not there by the next time it was lost. */
	if (st.violations <= d->violations) {
		d->suspect = false;
	} else if (!d->suspect) {
		d->suspect = true;
	} else {
		snprintf(text, sizeof(text), "%llu reports were lost",
			 (unsigned long long)(st.violations - d->violations));
		d->violations = st.violations;
		if (state_of(d->build) == CHARIOT_TRUST_PROBATION)
			hold(p, d->build, text);
	}
}

static bool has_proved(const struct probation *p,
		       const struct probation_build *b)
{
	return state_of(b) == CHARIOT_TRUST_PROBATION &&
	       b->known.entries + b->fresh.entries >= p->entries &&
	       b->known.seconds + b->fresh.seconds >= p->seconds;
}

static void check_domain(struct probation *p, struct chariot_vm *vm,
			 uint32_t nr, int64_t at)
{
	struct on_probation *d = &p->domains[nr];
	struct probation_build *b = d->build;

	look(p, b);
	count(p, vm, nr, at);
	if (d->settled)
		return;
	if (!d->suspect && has_proved(p, b)) {
		b->fresh.state = CHARIOT_TRUST_PROVED;
		save(p, b);
	} else if (at - b->saved >= SAVE_S) {
		save(p, b);
	}
	if (state_of(b) == CHARIOT_TRUST_PROVED)
		enforce(p, vm, nr);
}

void probation_check(struct probation *p, struct chariot_vm *vm)
{
	p->checked = now();
	for (uint32_t nr = 1; nr < NR_DOMAINS; nr++)
		if (probation_has(p, nr))
			check_domain(p, vm, nr, p->checked);
}

/* When there is not much missing the look is then, not later. */
int probation_timeout(const struct probation *p)
{
	int64_t left = -1, wait, has;

	for (uint32_t nr = 1; nr < NR_DOMAINS; nr++) {
		const struct probation_build *b = p->domains[nr].build;

		if (!probation_has(p, nr))
			continue;
		has = b->known.seconds + b->fresh.seconds;
		wait = (int64_t)p->seconds - has;
		if (wait < 1 || wait > CHECK_S)
			wait = CHECK_S;
		if (left < 0 || wait < left)
			left = wait;
	}
	if (left < 0)
		return -1;
	left -= now() - p->checked;
	return left > 0 ? left * 1000 : 0;
}

static void end(struct probation *p, uint32_t nr)
{
	if (p->domains[nr].build)
		save(p, p->domains[nr].build);
	p->domains[nr].build = NULL;
}

void probation_gone(struct probation *p, struct chariot_vm *vm,
		    uint32_t domain)
{
	struct chariot_domain_info info;

	if (domain < NR_DOMAINS && chariot_vm__domain_info(vm, domain, &info))
		end(p, domain);
}

void probation_leave(struct probation *p, uint32_t domain)
{
	if (domain < NR_DOMAINS)
		end(p, domain);
}

void probation_end(struct probation *p)
{
	for (uint32_t nr = 1; nr < NR_DOMAINS; nr++)
		end(p, nr);
}
