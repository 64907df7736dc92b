/* SPDX-License-Identifier: GPL-2.0 */
/*
 * chariot: command line of libchariot.
 *
 * Every object has a file, which ends in its table.  A command gathers what it
 * has to say as JSON and gives it to out(), which prints it as it is under -j,
 * and otherwise lets the command lay it out with rows() and fields().
 */
#ifndef CLI_H
#define CLI_H

#include <chariot.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define KERNEL_HALF	0xffff800000000000ULL	/* addresses of a guest's kernel */
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum { EXIT_OK, EXIT_FAIL, EXIT_USAGE };

struct cli {
	bool json, pretty, color, debug;
};
extern struct cli cli;

/* ---- grammar: main.c, args.c -------------------------------------------- */

struct command {
	const char *name;	/* NULL: the object is the command */
	const char *args;	/* for the help text */
	int (*run)(int argc, char **argv);
};

struct object {
	const char *name, *summary;
	const char *options;	/* for the help text, or NULL */
	const struct command *commands;	/* the last one has no run() */
};

extern const struct object vm_object, domain_object, isolate_object,
	release_object, guard_object, act_object, event_object, stats_object,
	verdict_object, guest_object, driver_object, profile_object,
	policy_object, inject_object, attach_object, detach_object, top_object;

enum option_kind { OPT_FLAG, OPT_STRING, OPT_U64, OPT_MS, OPT_LIST };

struct option_list {
	const char *v[64];	/* NULL-terminated */
	unsigned int nr;
};

struct option_def {
	const char *name;	/* without the "--" */
	enum option_kind kind;
	void *value;		/* bool, const char *, uint64_t, int (ms), list */
	char letter;		/* 'b' for "-b", or 0 */
};

/* Take the options out of @argv.  0, or EXIT_USAGE after telling. */
int parse_options(int *argc, char **argv, const struct option_def *defs);
/* For commands without options; also checks the number of arguments. */
int parse_args(int *argc, char **argv, const struct option_def *defs,
	       int min, int max);
bool parse_u64(const char *text, uint64_t *value);
bool parse_ms(const char *text, int *ms);

/* ---- output: out.c ------------------------------------------------------ */

enum column_kind { COL_TEXT, COL_NUMBER, COL_SIZE, COL_STATE };

struct column {
	const char *key;	/* NULL: end of the list */
	const char *title;
	enum column_kind kind;
};

struct json_object *json_list(void);
struct json_object *json_map(void);
/* Strings may come from a guest: what is not printable ASCII becomes '?'. */
void put_str(struct json_object *o, const char *key, const char *value);
void put_u64(struct json_object *o, const char *key, uint64_t value);
void put_bool(struct json_object *o, const char *key, bool value);
/* Addresses are strings: JSON's numbers have 53 bits in many readers. */
void put_hex(struct json_object *o, const char *key, uint64_t value);
void put_bytes(struct json_object *o, const char *key, const uint8_t *bytes,
	       size_t len);
struct json_object *get(struct json_object *o, const char *key);
const char *get_str(struct json_object *o, const char *key);

/* Prints and frees @o; returns EXIT_OK. */
int out(struct json_object *o, void (*human)(struct json_object *o));
/* A JSON document on a line of its own; @o stays. */
void out_line(struct json_object *o);

/* What a table has there: in @buf, or of @row. */
const char *cell(char *buf, size_t len, struct json_object *row,
		 const struct column *col);
void rows(struct json_object *list, const struct column *cols);
void fields(struct json_object *o, const struct column *cols);
/* "title (12):" and the strings of @list, wrapped. */
void words(const char *title, struct json_object *list);
void title(const char *text);

int fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Adds what the library said last, or strerror(@err). */
/* True, and told why, when there is no /dev/chariot; who may not use it is not told. */
bool device_missing(void);
int fail_lib(int err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* To stderr, and not under -j. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void lib_log_init(void);
/* What that sets: warnings to stderr, errors kept for fail_lib(). */
void lib_log(void *ctx, enum chariot_log_level level, const char *text);
/* What the library said last, or NULL; forgets it. */
const char *lib_said(void);

/* ---- VMs: proc.c, vms.c ------------------------------------------------- */

#define VM_NAME_LEN	128

struct kvm_vm {
	pid_t pid;
	char name[VM_NAME_LEN];	/* "" without -name */
	unsigned int vcpus;
	bool readable;		/* its descriptors could be looked at */
};

/* KVM VMs of this host, by pid; malloc()ed.  @hidden: processes that could
 * not be looked into.  Number of VMs, or -errno. */
int vms_find(struct kvm_vm **vms, unsigned int *hidden);
/* @arg is a pid or a name.  NULL after telling. */
struct chariot_vm *vm_open(const char *arg, struct kvm_vm *found);
/* As vm_open(); also its profile.  NULL after telling. */
struct chariot_vm *vm_open_kernel(const char *arg,
				  const struct chariot_profile **profile);
/* Number of the domain of a driver, or EXIT_* negated after telling. */
int vm_domain(struct chariot_vm *vm, const char *driver);
const char *vm_state_name(const struct chariot_vm_info *info);
struct json_object *vm_domain_names(struct chariot_vm *vm,
				    const struct chariot_vm_info *info);
/* For each domain, until @fn returns something but 0. */
int vm_each_domain(struct chariot_vm *vm,
		   int (*fn)(struct chariot_vm *vm, uint32_t nr,
			     const struct chariot_domain_info *d, void *ctx),
		   void *ctx);

/* ---- guards: guard.c ----------------------------------------------------- */

/* In the order of CHARIOT_VERDICT_*, and what a guard can have besides, the default. */
#define VERDICTS	"report, skip, oops, pause, recover"
#define GUARD_VERDICTS	VERDICTS ", auto"

#define GUARD_OPTIONS \
	"  --verdict VERDICT  report, skip, oops, pause, recover or auto (default)\n" \
	"  --policy FILE      on top of the built-in policy; may be repeated\n" \
	"  --state DIR        what is known of builds, for auto (/var/lib/chariot)\n"

/* VM [DRIVERS] and these options; @min arguments, @policies outlives @o. */
int guard_args(int *argc, char **argv, int min, struct chariot_guard_opts *o,
	       struct option_list *policies);
/* Until the process ends, or we are asked to stop. */
void guard_wait(pid_t pid);

/* ---- time: event.c ------------------------------------------------------ */

int64_t now_ms(void);
/* SIGINT, SIGTERM and SIGPIPE ask to stop, without an error. */
void catch_signals(void);
extern volatile int stopped;
struct json_object *event_json(struct chariot_vm *vm,
			       const struct chariot_event *ev);
void event_print(const char *vm_name, struct json_object *ev);

#endif
