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
#include <sys/wait.h>
#include <unistd.h>

#define NAMESPACE	"urn:chariot:isolation:1"
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
	char text[1024];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "chariot: domain %.200s: ", domain);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s\n", chariot_printable(text));
	return -1;
}

static void log_line(void *ctx, enum chariot_log_level level, const char *text)
{
	(void)ctx;
	if (level == CHARIOT_LOG_ERROR)
		snprintf(said, sizeof(said), "%s", text);
	else if (level == CHARIOT_LOG_WARN)
		fprintf(stderr, "chariot: %s\n", text);
}

/* ---- the XML ------------------------------------------------------------ */

static bool is_ours(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && n->ns && n->ns->href &&
	       !strcmp((const char *)n->ns->href, NAMESPACE) &&
	       (!name || !strcmp((const char *)n->name, name));
}

/* "chariot:driver", as it was written. */
static const char *written(const xmlNs *ns, const xmlChar *name, char buf[128])
{
	bool prefix = ns && ns->prefix;

	snprintf(buf, 128, "%s%s%s", prefix ? (const char *)ns->prefix : "",
		 prefix ? ":" : "", (const char *)name);
	return buf;
}

static int bad_attribute(const xmlNode *n, const xmlAttr *a)
{
	char element[128], attr[128];

	return refuse("line %d: <%s> has no attribute \"%s\"%s", n->line,
		      written(n->ns, n->name, element),
		      written(a->ns, a->name, attr),
		      a->ns ? ": attributes are without prefix" : "");
}

/* Text, or an element that does not belong there. */
static int bad_child(const xmlNode *n)
{
	char outer[128], inner[128];

	written(n->parent->ns, n->parent->name, outer);
	if (n->type != XML_ELEMENT_NODE)
		return refuse("line %d: <%s> has no text", n->parent->line,
			      outer);
	return refuse("line %d: <%s> has no element <%s>", n->line, outer,
		      written(n->ns, n->name, inner));
}

static bool says_nothing(const xmlNode *n)
{
	return n->type == XML_COMMENT_NODE || n->type == XML_PI_NODE ||
	       xmlIsBlankNode(n);
}

/* The value of the only attribute, and nothing inside; NULL after telling. */
static const char *only(const xmlNode *n, const char *name)
{
	const char *v = NULL;
	char element[128];

	for (const xmlAttr *a = n->properties; a; a = a->next) {
		if (a->ns || strcmp((const char *)a->name, name)) {
			bad_attribute(n, a);
			return NULL;
		}
		v = (const char *)xmlGetNoNsProp(n, a->name);
	}
	if (!v || !*v) {
		refuse("line %d: <%s> has no %s=", n->line,
		       written(n->ns, n->name, element), name);
		return NULL;
	}
	for (n = n->children; n; n = n->next)
		if (!says_nothing(n)) {
			bad_child(n);
			return NULL;
		}
	return v;
}

/* Is it one of the list? */
static bool is_listed(const char *list, const char *name)
{
	size_t len;

	for (; *list; list += len + (list[len] == ',')) {
		len = strcspn(list, ",");
		if (chariot_same_driver(strndupa(list, len), name))
			return true;
	}
	return false;
}

static int add_driver(struct isolation *is, const char *name, int line)
{
	size_t n = strlen(is->drivers);

	if (!name)
		return -1;
	if (!chariot_name_ok(name, strlen(name)))
		return refuse("line %d: \"%s\" is no name of a driver", line,
			      name);
	if (is_listed(is->drivers, name))
		return refuse("line %d: driver %s is there twice", line, name);
	if (n + strlen(name) + 2 > sizeof(is->drivers))
		return refuse("line %d: too many drivers", line);
	sprintf(is->drivers + n, "%s%s", n ? "," : "", name);
	return 0;
}

static int add_policy(struct isolation *is, const char *file, int line)
{
	if (!file)
		return -1;
	if (*file != '/')
		return refuse("line %d: file=\"%s\" is no absolute path", line,
			      file);
	for (int i = 0; i < is->nr_policies; i++)
		if (!strcmp(is->policies[i], file))
			return refuse("line %d: policy %s is there twice", line,
				      file);
	if (is->nr_policies == MAX_POLICIES)
		return refuse("line %d: too many policies", line);
	is->policies[is->nr_policies++] = file;
	return 0;
}

static int take_attributes(struct isolation *is, const xmlNode *n)
{
	const char *v;

	for (const xmlAttr *a = n->properties; a; a = a->next) {
		v = a->ns ? NULL : (const char *)xmlGetNoNsProp(n, a->name);
		if (!v) {
			return bad_attribute(n, a);
		} else if (!strcmp((const char *)a->name, "verdict")) {
			if (chariot_verdict_by_name(v) < 0)
				return refuse("line %d: verdict=\"%s\" is none of report, skip, oops, pause, recover, auto",
					      n->line, v);
			is->verdict = v;
		} else if (!strcmp((const char *)a->name, "on-restore")) {
			if (strcmp(v, "refuse") && strcmp(v, "run"))
				return refuse("line %d: on-restore=\"%s\" is neither refuse nor run",
					      n->line, v);
			is->run_restored = !strcmp(v, "run");
		} else {
			return bad_attribute(n, a);
		}
	}
	return 0;
}

static int take(struct isolation *is, const xmlNode *n)
{
	int err = take_attributes(is, n);

	for (n = n->children; n && !err; n = n->next) {
		if (says_nothing(n))
			continue;
		if (is_ours(n, "driver"))
			err = add_driver(is, only(n, "name"), n->line);
		else if (is_ours(n, "policy"))
			err = add_policy(is, only(n, "file"), n->line);
		else
			err = bad_child(n);
	}
	if (!err && !*is->drivers)
		err = refuse("<chariot:isolation> names no driver");
	return err;
}

/* Of another version of ours, or of what was meant to be ours. */
static bool is_nearly_ours(const xmlNode *n)
{
	return n->type == XML_ELEMENT_NODE && n->ns && n->ns->href &&
	       !strncmp((const char *)n->ns->href, "urn:chariot:", 12);
}

/* In one <metadata>.  1: it has one, 0: not, -1: it is wrong. */
static int find_in(struct isolation *is, const xmlNode *n)
{
	int found = 0;

	for (n = n->children; n; n = n->next) {
		if (is_nearly_ours(n) && !is_ours(n, "isolation"))
			return refuse("line %d: <%s> of namespace \"%s\" is not known: what is, is <isolation> of \"" NAMESPACE "\"",
				      n->line, n->name, n->ns->href);
		if (!is_ours(n, "isolation"))
			continue;
		if (*is->drivers)
			return refuse("line %d: a second <isolation>", n->line);
		if (take(is, n))
			return -1;
		found = 1;
	}
	return found;
}

static int find(struct isolation *is, xmlDoc *doc)
{
	const xmlNode *n = xmlDocGetRootElement(doc);
	int found = 0, r;

	for (n = n ? n->children : NULL; n; n = n->next) {
		if (n->type != XML_ELEMENT_NODE ||
		    strcmp((const char *)n->name, "metadata"))
			continue;
		r = find_in(is, n);
		if (r < 0)
			return r;
		found |= r;
	}
	return found;
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

/* Its status, or -1.  What it says is an error's text at most: for virsh. */
static int run(const char **argv)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		dup2(2, 1);
		execvp(argv[0], (char *const *)argv);
		fprintf(stderr, "chariot: cannot run %s: %s\n", argv[0],
			strerror(errno));
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid ? -1 : status;
}

/* Before anything is started: would it work? */
static int prepare(const struct isolation *is)
{
	struct chariot_policy *p = chariot_policy__load(is->policies);

	if (!p)
		return refuse("%s", *said ? said : strerror(errno));
	chariot_policy__free(p);
	/* After a boot or an upgrade it may not have been loaded. */
	if (access("/dev/chariot", F_OK))
		run((const char *[]){ "modprobe", "-q", "kvm_chariot", NULL });
	if (chariot_device_check())
		return refuse("%s", said);
	return 0;
}

/* Where it was installed to, or else in PATH: a package and a build of one's own may both
 * have been there. */
static const char *command(void)
{
	const char *asked = getenv("CHARIOT_COMMAND");

	return asked ?: access(CHARIOT, X_OK) ? "chariot" : CHARIOT;
}

static int attach(const struct isolation *is)
{
	const char *argv[8 + 2 * MAX_POLICIES] = {
		command(), "attach", "--verdict", is->verdict,
	};
	int n = 4, status;

	for (int i = 0; i < is->nr_policies; i++) {
		argv[n++] = "--policy";
		argv[n++] = is->policies[i];
	}
	/* A domain may have any name. */
	argv[n++] = "--";
	argv[n++] = domain;
	argv[n++] = is->drivers;
	status = run(argv);
	if (status < 0)
		return refuse("cannot run %s", argv[0]);
	if (status)
		return refuse("its drivers cannot be isolated");
	return 0;
}

int main(int argc, char **argv)
{
	struct isolation is = {
		.verdict = chariot_verdict_name(CHARIOT_VERDICT_DEFAULT),
	};
	const char *op;
	xmlDoc *doc;
	int r;

	if (argc < 4)
		return 2;
	/* libvirtd's own may be shorter. */
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 0);
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
