// SPDX-License-Identifier: GPL-2.0
/*
 * libvirt's hook for QEMU domains: /etc/libvirt/hooks/qemu.d/chariot.
 *
 *	chariot NAME OPERATION SUB-OPERATION EXTRA <XML
 *
 * A domain whose XML has <chariot:isolation> in its <metadata> gets a guard
 * (chariot attach) when QEMU is there and before the guest runs.  What is wrong
 * refuses the start; virsh shows what is said here on stderr.
 * chariot-libvirt(7) has the elements.
 */
#include <chariot.h>
#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACE	"urn:chariot:isolation:1"
#define NODE		"/dev/chariot"
#define MAX_XML		(4 << 20)
#define MAX_POLICIES	16

#ifndef CHARIOT
#define CHARIOT		"/usr/local/sbin/chariot"
#endif

struct isolation {
	char drivers[1024];
	const char *policies[MAX_POLICIES + 1];
	int nr_policies;
	const char *verdict;
	bool run_restored;
};

static const char *domain;
static char said[512];		/* by the library */

static int refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int refuse(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "chariot: domain %s: ", domain);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

static void log_line(void *ctx, enum chariot_log_level level, const char *text)
{
	(void)ctx;
	if (level == CHARIOT_LOG_ERROR)
		snprintf(said, sizeof(said), "%s", text);
}

/* ---- the XML ------------------------------------------------------------ */

static bool is_ours(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && n->ns && n->ns->href &&
	       !strcmp((const char *)n->ns->href, NAMESPACE) &&
	       (!name || !strcmp((const char *)n->name, name));
}

static const char *attribute(const xmlNode *n, const char *name)
{
	return (const char *)xmlGetNoNsProp(n, (const xmlChar *)name);
}

static int add_driver(struct isolation *is, const char *name, int line)
{
	size_t n = strlen(is->drivers);

	if (!name || !*name)
		return refuse("line %d: <chariot:driver> has no name", line);
	if (strlen(name) >= CHARIOT_NAME_LEN ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
			 "0123456789_-") != strlen(name))
		return refuse("line %d: \"%s\" is no name of a driver", line,
			      name);
	if (n + strlen(name) + 2 > sizeof(is->drivers))
		return refuse("line %d: too many drivers", line);
	sprintf(is->drivers + n, "%s%s", n ? "," : "", name);
	return 0;
}

static int add_policy(struct isolation *is, const char *file, int line)
{
	if (!file || *file != '/')
		return refuse("line %d: <chariot:policy> needs file=, an absolute path",
			      line);
	if (is->nr_policies == MAX_POLICIES)
		return refuse("line %d: too many policies", line);
	is->policies[is->nr_policies++] = file;
	return 0;
}

static int take_attributes(struct isolation *is, const xmlNode *n)
{
	const char *v;

	for (const xmlAttr *a = n->properties; a; a = a->next) {
		v = attribute(n, (const char *)a->name);
		if (!strcmp((const char *)a->name, "verdict")) {
			if (chariot_verdict_by_name(v) < 0)
				return refuse("line %d: verdict=\"%s\" is none of report, skip, oops, pause, recover",
					      n->line, v);
			is->verdict = v;
		} else if (!strcmp((const char *)a->name, "on-restore")) {
			if (strcmp(v, "refuse") && strcmp(v, "run"))
				return refuse("line %d: on-restore=\"%s\" is neither refuse nor run",
					      n->line, v);
			is->run_restored = !strcmp(v, "run");
		} else {
			return refuse("line %d: <chariot:isolation> has no attribute \"%s\"",
				      n->line, a->name);
		}
	}
	return 0;
}

static int take(struct isolation *is, const xmlNode *n)
{
	int err = take_attributes(is, n);

	for (n = n->children; n && !err; n = n->next) {
		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (is_ours(n, "driver"))
			err = add_driver(is, attribute(n, "name"), n->line);
		else if (is_ours(n, "policy"))
			err = add_policy(is, attribute(n, "file"), n->line);
		else
			err = refuse("line %d: <chariot:isolation> has no element <%s>",
				     n->line, n->name);
	}
	if (!err && !*is->drivers)
		err = refuse("<chariot:isolation> names no driver");
	return err;
}

static const xmlNode *child(const xmlNode *n, const char *name)
{
	for (n = n ? n->children : NULL; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE &&
		    !strcmp((const char *)n->name, name))
			return n;
	return NULL;
}

/* 1: it has one, 0: not, -1: it is wrong. */
static int find(struct isolation *is, xmlDoc *doc)
{
	const xmlNode *n = child(xmlDocGetRootElement(doc), "metadata");

	for (n = n ? n->children : NULL; n; n = n->next)
		if (is_ours(n, NULL))
			return !is_ours(n, "isolation") ?
			       refuse("line %d: <chariot:%s> is not known",
				      n->line, n->name) :
			       take(is, n) ? -1 : 1;
	return 0;
}

static xmlDoc *read_xml(void)
{
	char *buf = malloc(MAX_XML);
	size_t n = buf ? fread(buf, 1, MAX_XML, stdin) : 0;
	xmlDoc *doc;

	doc = n ? xmlReadMemory(buf, n, NULL, NULL, XML_PARSE_NONET |
				XML_PARSE_NOERROR | XML_PARSE_NOWARNING) : NULL;
	free(buf);
	return doc;
}

/* ---- what is done ------------------------------------------------------- */

/* Before anything is started: would it work? */
static int prepare(const struct isolation *is)
{
	struct chariot_policy *p = chariot_policy__load(is->policies);
	struct stat st;

	if (!p)
		return refuse("%s", *said ? said : strerror(errno));
	chariot_policy__free(p);
	if (stat(NODE, &st))
		return refuse("there is no " NODE ": modprobe kvm_chariot");
	return 0;
}

static int attach(const struct isolation *is)
{
	const char *argv[8 + 2 * MAX_POLICIES] = {
		getenv("CHARIOT_COMMAND") ?: CHARIOT, "attach", domain,
		is->drivers, "--verdict", is->verdict,
	};
	int n = 6, status;
	pid_t pid;

	for (int i = 0; i < is->nr_policies; i++) {
		argv[n++] = "--policy";
		argv[n++] = is->policies[i];
	}
	pid = fork();
	if (!pid) {
		/* What it says is an error's text at most: for virsh. */
		dup2(2, 1);
		execv(argv[0], (char *const *)argv);
		fprintf(stderr, "chariot: cannot run %s: %s\n", argv[0],
			strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return refuse("cannot run %s", argv[0]);
	if (status)
		return refuse("its drivers cannot be isolated");
	return 0;
}

int main(int argc, char **argv)
{
	struct isolation is = { .verdict = "recover" };
	const char *op;
	xmlDoc *doc;
	int r;

	if (argc < 4)
		return 2;
	domain = argv[1];
	op = argv[2];
	if (strcmp(argv[3], "begin") ||
	    (strcmp(op, "prepare") && strcmp(op, "started") &&
	     strcmp(op, "restore") && strcmp(op, "migrate")))
		return 0;
	chariot_set_log(log_line, NULL);
	doc = read_xml();
	if (!doc)
		return refuse("its XML cannot be read") ? 1 : 0;
	r = find(&is, doc);
	if (r > 0) {
		r = 0;
		if (!strcmp(op, "prepare"))
			r = prepare(&is);
		else if (!strcmp(op, "started"))
			r = attach(&is);
		else if (!is.run_restored)
			r = refuse("a guest that comes from elsewhere has its drivers loaded: they cannot be isolated from their start. Boot it, or say on-restore=\"run\" in <chariot:isolation>");
	}
	xmlFreeDoc(doc);
	return r ? 1 : 0;
}
