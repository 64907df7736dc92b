// SPDX-License-Identifier: GPL-2.0
/*
 * Metrics for Prometheus.  Each counter of the uapi header is one, by its own name;
 * so a new counter is a new metric.
 */
#include "metrics.h"
#include "counters.h"
#include "survey.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX	1024	/* two names, each byte of them escaped, and numbers */
#define CAUSE		"violations_"	/* counters of violations by cause */

/* ---- the format ----------------------------------------------------------- */

static void family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* @more: one more label, as it is written, or "". */
static void sample(FILE *f, const char *name, const char *labels,
		   const char *more, uint64_t value)
{
	const char *comma = *labels && *more ? "," : "";

	if (*labels || *more)
		fprintf(f, "%s{%s%s%s} %" PRIu64 "\n", name, labels, comma, more,
			value);
	else
		fprintf(f, "%s %" PRIu64 "\n", name, value);
}

/* @name has nothing but printable ASCII. */
static void put_label(char *buf, size_t len, const char *key, const char *name)
{
	size_t at = strlen(buf);

	at += snprintf(buf + at, len - at, "%s%s=\"", at ? "," : "", key);
	for (; *name && at + 4 < len; name++) {
		if (*name == '"' || *name == '\\')
			buf[at++] = '\\';
		buf[at++] = *name;
	}
	snprintf(buf + at, len - at, "\"");
}

/* Names need not be unique: with the numbers they are. */
static const char *vm_labels(char *buf, const struct vm_row *vm)
{
	char pid[16];

	*buf = 0;
	snprintf(pid, sizeof(pid), "%d", (int)vm->id.pid);
	put_label(buf, LABELS_MAX, "vm", vm->id.name[0] ? vm->id.name : pid);
	put_label(buf, LABELS_MAX, "pid", pid);
	return buf;
}

static const char *domain_labels(char *buf, const struct vm_row *vm,
				 const struct domain_row *d)
{
	char nr[16];

	vm_labels(buf, vm);
	snprintf(nr, sizeof(nr), "%u", d->info.domain);
	put_label(buf, LABELS_MAX, "driver", d->info.name);
	put_label(buf, LABELS_MAX, "domain", nr);
	return buf;
}

/* ---- what has counters: VMs, and their domains ---------------------------- */

struct subject {
	char labels[LABELS_MAX];
	const struct chariot_stats *st;
};

struct subjects {
	const char *prefix;
	struct subject *v;
	size_t nr;
};

static size_t nr_domains(const struct survey *s)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->nr; i++)
		nr += s->vms[i].nr;
	return nr;
}

static int find_vms(struct subjects *to, const struct survey *s)
{
	to->prefix = "chariot_vm";
	to->v = calloc(s->nr + 1, sizeof(*to->v));
	for (size_t i = 0; to->v && i < s->nr; i++) {
		if (!s->vms[i].info.nr_handles)
			continue;	/* could not be asked */
		vm_labels(to->v[to->nr].labels, &s->vms[i]);
		to->v[to->nr++].st = &s->vms[i].st;
	}
	return to->v ? 0 : -ENOMEM;
}

static int find_domains(struct subjects *to, const struct survey *s)
{
	const struct domain_row *d;

	to->prefix = "chariot_domain";
	to->v = calloc(nr_domains(s) + 1, sizeof(*to->v));
	for (size_t i = 0; to->v && i < s->nr; i++) {
		d = s->vms[i].domains;
		for (size_t k = 0; k < s->vms[i].nr; k++, d++) {
			domain_labels(to->v[to->nr].labels, &s->vms[i], d);
			to->v[to->nr++].st = &d->st;
		}
	}
	return to->v ? 0 : -ENOMEM;
}

/* ---- counters ------------------------------------------------------------- */

static bool is_cause(const struct counter *c)
{
	return !strncmp(c->key, CAUSE, strlen(CAUSE));
}

/* Prometheus' unit of time is the second. */
static bool is_ms(const struct counter *c)
{
	size_t len = strlen(c->key);

	return len > 3 && !strcmp(c->key + len - 3, "_ms");
}

static void put_counter(FILE *f, const struct subjects *s,
			const struct counter *c)
{
	int len = strlen(c->key) - (is_ms(c) ? 3 : 0);
	char name[128], help[128];
	uint64_t v;

	snprintf(name, sizeof(name), "%s_%.*s%s_total", s->prefix, len, c->key,
		 is_ms(c) ? "_seconds" : "");
	snprintf(help, sizeof(help), "Counter %s of chariot stats: %s.", c->key,
		 c->text);
	family(f, name, "counter", help);
	for (size_t i = 0; i < s->nr; i++) {
		v = counter_value(s->v[i].st, c);
		if (is_ms(c))
			fprintf(f, "%s{%s} %" PRIu64 ".%03" PRIu64 "\n", name,
				s->v[i].labels, v / 1000, v % 1000);
		else
			sample(f, name, s->v[i].labels, "", v);
	}
}

/* Of each subject those counters that @is is true of, as one metric. */
static void put_causes(FILE *f, const struct subjects *s, const char *what,
		       const char *help, bool (*is)(const struct counter *c))
{
	char name[64], cause[64];

	snprintf(name, sizeof(name), "%s_%s_by_cause_total", s->prefix, what);
	family(f, name, "counter", help);
	for (size_t i = 0; i < s->nr; i++) {
		for (size_t k = 0; k < NR_COUNTERS; k++) {
			if (!is(&counters[k]))
				continue;
			snprintf(cause, sizeof(cause), "cause=\"%s\"",
				 counters[k].key +
				 (is_cause(&counters[k]) ? strlen(CAUSE) : 0));
			sample(f, name, s->v[i].labels, cause,
			       counter_value(s->v[i].st, &counters[k]));
		}
		if (is != is_cause)
			sample(f, name, s->v[i].labels, "cause=\"other\"",
			       counter_other_exits(s->v[i].st));
	}
}

static bool is_exit(const struct counter *c)
{
	return c->exit;
}

static void put_counters(FILE *f, const struct subjects *s)
{
	for (size_t i = 0; i < NR_COUNTERS; i++)
		if (!is_cause(&counters[i]))
			put_counter(f, s, &counters[i]);
	put_causes(f, s, "violations", "Violations by what was done.", is_cause);
	put_causes(f, s, "exits",
		   "Exits by cause, with those that were saved; other: repeated faults and the like.",
		   is_exit);
}

/* ---- gauges --------------------------------------------------------------- */

static void put_host(FILE *f, const struct survey *s)
{
	char more[64];

	snprintf(more, sizeof(more), "version=\"%s\",api=\"%d\"",
		 chariot_version(), CHARIOT_API_VERSION);
	family(f, "chariot_build_info", "gauge", "Version of the tools; always 1.");
	sample(f, "chariot_build_info", "", more, 1);
	family(f, "chariot_module_loaded", "gauge", "Is /dev/chariot there?");
	sample(f, "chariot_module_loaded", "", "", s->module);
	family(f, "chariot_hidden_processes", "gauge",
	       "Processes that could not be looked into, for want of rights.");
	sample(f, "chariot_hidden_processes", "", "", s->hidden);
	family(f, "chariot_vms", "gauge", "KVM VMs of this host by state.");
	for (const char *const *state = vm_states; *state; state++) {
		uint64_t nr = 0;

		for (size_t i = 0; i < s->nr; i++)
			nr += !strcmp(s->vms[i].state, *state);
		snprintf(more, sizeof(more), "state=\"%s\"", *state);
		sample(f, "chariot_vms", "", more, nr);
	}
}

static void put_vm_state(FILE *f, const struct survey *s)
{
	char labels[LABELS_MAX], more[64];

	family(f, "chariot_vm_state", "gauge", "1 for the state that the VM is in.");
	for (size_t i = 0; i < s->nr; i++)
		for (const char *const *state = vm_states; *state; state++) {
			snprintf(more, sizeof(more), "state=\"%s\"", *state);
			sample(f, "chariot_vm_state", vm_labels(labels, &s->vms[i]),
			       more, !strcmp(s->vms[i].state, *state));
		}
}

static void put_vms(FILE *f, const struct survey *s)
{
	char labels[LABELS_MAX];

	put_vm_state(f, s);
	family(f, "chariot_vm_domains", "gauge", "Drivers that are isolated in the VM.");
	for (size_t i = 0; i < s->nr; i++)
		sample(f, "chariot_vm_domains", vm_labels(labels, &s->vms[i]), "",
		       s->vms[i].nr);
}

static void put_verdicts(FILE *f, const struct survey *s)
{
	const struct domain_row *d;
	char labels[LABELS_MAX], more[64];

	family(f, "chariot_domain_verdict", "gauge", "1 for the verdict of the domain.");
	for (size_t i = 0; i < s->nr; i++) {
		d = s->vms[i].domains;
		for (size_t k = 0; k < s->vms[i].nr; k++, d++) {
			domain_labels(labels, &s->vms[i], d);
			for (uint32_t v = 0; v < CHARIOT_NR_VERDICTS; v++) {
				snprintf(more, sizeof(more), "verdict=\"%s\"",
					 chariot_verdict_name(v));
				sample(f, "chariot_domain_verdict", labels, more,
				       d->info.verdict == v);
			}
		}
	}
}

static const struct {
	const char *name, *more, *help;
	size_t at, size;
} gauges[] = {
#define G(name, more, member, help)					\
	{ "chariot_domain_" name, more, help,				\
	  offsetof(struct chariot_domain_info, member),			\
	  sizeof(((struct chariot_domain_info *)0)->member) }
	G("act_objects", "", nr_objects, "Objects in the ACT of the domain."),
	G("pages", "kind=\"own\"", nr_pages_full,
	  "Pages of the domain: its own, or shared, with a byte map."),
	G("pages", "kind=\"shared\"", nr_pages_shared, NULL),
	G("active_calls", "", nr_frames, "Calls and interrupts under way."),
	G("memory_bytes", "", memory, "Memory of the host for the domain."),
	G("modules", "", nr_modules, "Modules that the driver is."),
#undef G
};

static void put_gauge(FILE *f, const struct survey *s, size_t g)
{
	const struct domain_row *d;
	char labels[LABELS_MAX];
	uint64_t v;

	if (gauges[g].help)
		family(f, gauges[g].name, "gauge", gauges[g].help);
	for (size_t i = 0; i < s->nr; i++) {
		d = s->vms[i].domains;
		for (size_t k = 0; k < s->vms[i].nr; k++, d++) {
			v = 0;	/* little-endian, as all that has KVM on x86 */
			memcpy(&v, (const char *)&d->info + gauges[g].at,
			       gauges[g].size);
			sample(f, gauges[g].name,
			       domain_labels(labels, &s->vms[i], d),
			       gauges[g].more, v);
		}
	}
}

/* ---- builds --------------------------------------------------------------- */

struct builds {
	struct {
		char driver[CHARIOT_NAME_LEN];
		uint64_t nr[CHARIOT_NR_TRUST_STATES];
	} *v;
	size_t nr, spoilt;
};

static int count_build(void *ctx, const char *path, int err,
		       const struct chariot_trust *t)
{
	struct builds *b = ctx;
	size_t i = 0;
	void *v;

	(void)path;
	if (err || t->state >= CHARIOT_NR_TRUST_STATES) {
		b->spoilt++;
		return 0;
	}
	while (i < b->nr && strcmp(b->v[i].driver, t->driver))
		i++;
	if (i == b->nr) {
		v = reallocarray(b->v, b->nr + 1, sizeof(*b->v));
		if (!v)
			return -ENOMEM;
		b->v = v;
		memset(&b->v[b->nr++], 0, sizeof(*b->v));
		snprintf(b->v[i].driver, sizeof(b->v[i].driver), "%s", t->driver);
	}
	b->v[i].nr[t->state]++;
	return 0;
}

static void put_builds(FILE *f)
{
	char labels[LABELS_MAX], more[64];
	struct builds b = {};

	chariot_trust__each(NULL, count_build, &b);
	family(f, "chariot_builds", "gauge",
	       "Builds of drivers that are on probation, proved or held.");
	for (size_t i = 0; i < b.nr; i++)
		for (uint32_t s = 0; s < CHARIOT_NR_TRUST_STATES; s++) {
			*labels = 0;
			put_label(labels, sizeof(labels), "driver", b.v[i].driver);
			snprintf(more, sizeof(more), "state=\"%s\"",
				 chariot_trust_state_name(s));
			sample(f, "chariot_builds", labels, more, b.v[i].nr[s]);
		}
	family(f, "chariot_spoilt_builds", "gauge",
	       "Files of builds that cannot be read.");
	sample(f, "chariot_spoilt_builds", "", "", b.spoilt);
	free(b.v);
}

/* ---- all ------------------------------------------------------------------ */

static struct chariot_vm *open_vm(void *ctx, const struct kvm_vm *id)
{
	(void)ctx;
	return chariot_vm__attach_pid(id->pid);
}

static void close_vm(void *ctx, struct chariot_vm *vm)
{
	(void)ctx;
	chariot_vm__free(vm);
}

static int put_all(FILE *f, const struct survey *s)
{
	struct subjects vms = {}, domains = {};
	int err = find_vms(&vms, s) ?: find_domains(&domains, s);

	if (!err) {
		put_host(f, s);
		put_vms(f, s);
		put_counters(f, &vms);
		put_verdicts(f, s);
		for (size_t g = 0; g < ARRAY_SIZE(gauges); g++)
			put_gauge(f, s, g);
		put_counters(f, &domains);
		put_builds(f);
	}
	free(vms.v);
	free(domains.v);
	return err;
}

char *metrics_text(void)
{
	struct survey s;
	char *text = NULL;
	size_t len;
	int err = survey_take(&s, open_vm, close_vm, NULL);
	FILE *f = err ? NULL : open_memstream(&text, &len);

	if (f) {
		err = put_all(f, &s);
		if (fclose(f))
			err = -ENOMEM;
	}
	survey_free(&s);
	if (f && !err)
		return text;
	free(text);
	errno = err ? -err : ENOMEM;
	return NULL;
}
