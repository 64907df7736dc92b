/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libchariot: isolate drivers of KVM guests with kvm_chariot.ko.
 *
 * The module knows addresses, pages and a table of gates.  This library knows
 * what they mean: it finds the guest kernel's symbols and types in guest
 * memory (the *profile*), reads the driver that the guest is loading, turns a
 * *policy* into the module's tables, and answers the module's events.
 *
 * Conventions: functions that return a signed number return 0 or a positive result,
 * or -errno.  Functions that make or load something return it, or NULL with errno set;
 * those that look something up return NULL, or address 0, when it is not there.  Where
 * a name or a path is asked for, NULL is one that nothing has.  Nothing is ever
 * printed: what went wrong, with names and places, goes to the log callback.  Opaque
 * objects are freed by the function named *__free (a guard by *__stop); NULL does
 * nothing.
 * An object may be used by one thread at a time, except where said otherwise.
 * Addresses are guest-virtual (gva) or guest-physical (gpa); lengths bytes.
 */
#ifndef CHARIOT_H
#define CHARIOT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <linux/chariot.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CHARIOT_API __attribute__((visibility("default")))

/* ---- log ---------------------------------------------------------------- */

enum chariot_log_level {
	CHARIOT_LOG_ERROR,	/* something asked for cannot be done */
	CHARIOT_LOG_WARN,	/* done, but not as well as it could be */
	CHARIOT_LOG_INFO,	/* milestones */
	CHARIOT_LOG_DEBUG,
};
typedef void (*chariot_log_fn)(void *ctx, enum chariot_log_level level,
			       const char *text);	/* text: one line, no \n */

/* One callback for the whole process; thread-safe.  NULL: silence (default). */
CHARIOT_API void chariot_set_log(chariot_log_fn fn, void *ctx);
/* "1.0.0" */
CHARIOT_API const char *chariot_version(void);
/* Fit for terminals and logs: what is no printable ASCII in @text becomes '?'.  All
 * text that this library gives away is so.  Returns @text, which may be NULL. */
CHARIOT_API char *chariot_printable(char *text);

/* ---- guest memory ------------------------------------------------------- */

/* A source of guest-physical memory.  All or nothing: 0 or -errno. */
struct chariot_mem_ops {
	size_t sz;		/* sizeof(struct chariot_mem_ops) */
	int (*read)(void *ctx, uint64_t gpa, void *buf, size_t len);
	int (*write)(void *ctx, uint64_t gpa, const void *buf, size_t len);
};

/* An address space: a memory source and the page tables to look through. */
struct chariot_space {
	const struct chariot_mem_ops *ops;
	void *ctx;
	uint64_t cr3, cr4;
};

/* Translate; *@left, unless @left is NULL, gets the bytes up to the end of the mapping's
 * page.  -EFAULT: not mapped. */
CHARIOT_API int chariot_space__translate(const struct chariot_space *s,
					 uint64_t gva, uint64_t *gpa,
					 uint64_t *left);
/* Crosses pages.  -EFAULT when any part is not mapped; nothing is promised
 * about @buf then. */
CHARIOT_API int chariot_space__read(const struct chariot_space *s,
				    uint64_t gva, void *buf, size_t len);
CHARIOT_API int chariot_space__write(const struct chariot_space *s,
				     uint64_t gva, const void *buf, size_t len);

/* ---- profile: symbols and types of a guest kernel ----------------------- */

struct chariot_profile;
struct btf;			/* libbpf's */

/* From guest memory: @lstar is any address in the kernel's text. */
CHARIOT_API struct chariot_profile *
chariot_profile__from_guest(const struct chariot_space *s, uint64_t lstar);
/* From a vmlinuz or an uncompressed vmlinux; addresses are without KASLR. */
CHARIOT_API struct chariot_profile *
chariot_profile__from_file(const char *path);
CHARIOT_API void chariot_profile__free(struct chariot_profile *p);

/* "6.1.0-43-amd64", from linux_banner. */
CHARIOT_API const char *chariot_profile__release(const struct chariot_profile *p);
/* Build-id as lower-case hex, "" when there is none. */
CHARIOT_API const char *chariot_profile__build_id(const struct chariot_profile *p);
/* Number of kernel symbols. */
CHARIOT_API size_t chariot_profile__nr_symbols(const struct chariot_profile *p);
/* Address of a kernel symbol, 0 if there is none. */
CHARIOT_API uint64_t chariot_profile__symbol(const struct chariot_profile *p,
					     const char *name);
/* The symbol at or below @addr, inside [_text, _end); NULL if none. */
CHARIOT_API const char *
chariot_profile__name(const struct chariot_profile *p, uint64_t addr,
		      uint64_t *offset);
/* Address of the next symbol above @addr (the end of the function there). */
CHARIOT_API uint64_t chariot_profile__next(const struct chariot_profile *p,
					   uint64_t addr);
/* The kernel's BTF; owned by the profile. */
CHARIOT_API const struct btf *chariot_profile__btf(const struct chariot_profile *p);
/* sizeof(struct|union NAME); -ENOENT. */
CHARIOT_API int64_t chariot_profile__type_size(const struct chariot_profile *p,
					       const char *name);
/* Byte offset and size of a member, through anonymous structs and dotted
 * paths ("core_layout.base", "mem[2].base"); -ENOENT.  @size may be NULL. */
CHARIOT_API int64_t chariot_profile__member(const struct chariot_profile *p,
					    const char *type, const char *path,
					    uint64_t *size);
/* Value of an enumerator ("MOD_TEXT"); -ENOENT. */
CHARIOT_API int chariot_profile__enumerator(const struct chariot_profile *p,
					    const char *type, const char *name,
					    int64_t *value);
/* What the module wants to know of the kernel; @s as for from_guest(). */
CHARIOT_API int chariot_profile__kernel(const struct chariot_profile *p,
					const struct chariot_space *s,
					struct chariot_kernel *k);
/* Address of do_init_module(), where CHARIOT_WATCH_LOAD stops the guest; 0 if it is
 * not known or cannot be watched (ENOEXEC: called from its own page). */
CHARIOT_API uint64_t
chariot_profile__load_point(const struct chariot_profile *p,
			    const struct chariot_space *s);

/* ---- driver: a module as the guest has it in memory, or as a file ------- */

struct chariot_driver;

struct chariot_section {	/* a piece of the module's memory */
	uint64_t gva, len;
	uint32_t kind;		/* CHARIOT_RANGE_TEXT, INIT_TEXT, DATA, INIT_DATA,
				 * or CHARIOT_NR_RANGE_KINDS: read-only */
	const char *name;	/* "text", "data", "percpu", ... */
};
struct chariot_symbol {
	const char *name;
	uint64_t gva;
	uint64_t size;		/* 0: not known */
	bool func;
};

/* From guest memory; @module is the gva of its struct module. */
CHARIOT_API struct chariot_driver *
chariot_driver__from_guest(const struct chariot_profile *p,
			   const struct chariot_space *s, uint64_t module);
/* From a .ko file (also .ko.xz, .ko.zst); addresses are section offsets. */
CHARIOT_API struct chariot_driver *chariot_driver__from_file(const char *path);
/* That file's bytes, an unpacked ELF file; NULL of a driver from a guest. */
CHARIOT_API const void *chariot_driver__file(const struct chariot_driver *d,
					     size_t *len);
CHARIOT_API void chariot_driver__free(struct chariot_driver *d);
CHARIOT_API const char *chariot_driver__name(const struct chariot_driver *d);
/* gva of the init and exit functions, 0 when it has none. */
CHARIOT_API uint64_t chariot_driver__init(const struct chariot_driver *d);
CHARIOT_API uint64_t chariot_driver__exit(const struct chariot_driver *d);
CHARIOT_API const struct chariot_section *
chariot_driver__sections(const struct chariot_driver *d, size_t *nr);
/* Defined symbols by address, and imported ones (gva: what they resolved to). */
CHARIOT_API const struct chariot_symbol *
chariot_driver__symbols(const struct chariot_driver *d, size_t *nr);
CHARIOT_API const struct chariot_symbol *
chariot_driver__imports(const struct chariot_driver *d, size_t *nr);
/* Give a driver from a file its types, over those of @p, which must live longer.
 * -ENOENT: it has none; -EINVAL: they are of another kernel. */
CHARIOT_API int chariot_driver__link(struct chariot_driver *d,
				     const struct chariot_profile *p);
/* Split BTF over the kernel's; NULL when the module has none. */
CHARIOT_API const struct btf *chariot_driver__btf(const struct chariot_driver *d);
/* Build-id as lower-case hex, "" when there is none. */
CHARIOT_API const char *chariot_driver__build_id(const struct chariot_driver *d);
CHARIOT_API const char *
chariot_driver__name_of(const struct chariot_driver *d, uint64_t addr,
			uint64_t *offset);

/* Find a loaded module by name in the guest's list of modules: gva of its
 * struct module, or 0 with errno ENOENT. */
CHARIOT_API uint64_t chariot_driver__find(const struct chariot_profile *p,
					  const struct chariot_space *s,
					  const char *name);

/* ---- policy: which function is which gate ------------------------------- */

struct chariot_policy;

/* The built-in policy and then each of @paths (NULL-terminated, may be NULL)
 * on top.  Errors name file, line and what is wrong; errno EINVAL. */
CHARIOT_API struct chariot_policy *
chariot_policy__load(const char *const *paths);
CHARIOT_API void chariot_policy__free(struct chariot_policy *p);

/* What a call of a kernel function does, for who changes such calls. */
enum chariot_call_kind {
	CHARIOT_CALL_FREES, CHARIOT_CALL_ALLOCATES, CHARIOT_CALL_COPIES,
	CHARIOT_CALL_LOCKING,
};
/* *@arg: the argument that is the size, or what is freed; -1: none tells it alone.
 * False: no policy says that of the function. */
CHARIOT_API bool chariot_policy__call(const struct chariot_policy *p,
				      enum chariot_call_kind what,
				      const char *name, int *arg);

/* The tables for one driver, ready for CHARIOT_DOMAIN_CREATE (@create's
 * pointers lead into the tables). */
struct chariot_tables;
CHARIOT_API struct chariot_tables *
chariot_tables__build(const struct chariot_policy *policy,
		      const struct chariot_profile *p,
		      const struct chariot_space *s,
		      const struct chariot_driver *d);
CHARIOT_API void chariot_tables__free(struct chariot_tables *t);
CHARIOT_API const struct chariot_domain_create *
chariot_tables__create(const struct chariot_tables *t);

/* ---- VM: a handle of the module ----------------------------------------- */

struct chariot_vm;

/* By KVM VM descriptor of this process. */
CHARIOT_API struct chariot_vm *chariot_vm__attach_fd(int vm_fd);
/* By probing this process's descriptors for the one KVM VM in it. */
CHARIOT_API struct chariot_vm *chariot_vm__attach_self(void);
/* The VM of another process, through pidfd_getfd(2). */
CHARIOT_API struct chariot_vm *chariot_vm__attach_pid(pid_t pid);
/* 0 if this process may use /dev/chariot, or -errno: then the log has said why, and what
 * there is to do about it. */
CHARIOT_API int chariot_device_check(void);
CHARIOT_API void chariot_vm__free(struct chariot_vm *vm);
CHARIOT_API int chariot_vm__fd(const struct chariot_vm *vm);
/* Memory of the VM, with the kernel page tables seen last. */
CHARIOT_API const struct chariot_space *chariot_vm__space(struct chariot_vm *vm);
/* The profile, made when first asked for; waits for the guest's kernel to be
 * seen for at most @timeout_ms.  Owned by the VM. */
CHARIOT_API const struct chariot_profile *
chariot_vm__profile(struct chariot_vm *vm, int timeout_ms);

/* argsz and flags are filled in by these. */
CHARIOT_API int chariot_vm__info(struct chariot_vm *vm, struct chariot_vm_info *i);
CHARIOT_API int chariot_vm__domain_info(struct chariot_vm *vm, uint32_t domain,
					struct chariot_domain_info *i);
CHARIOT_API int chariot_vm__domain_by_name(struct chariot_vm *vm, const char *name);
CHARIOT_API int chariot_vm__stats(struct chariot_vm *vm, uint32_t domain,
				  struct chariot_stats *st);
CHARIOT_API int chariot_vm__set_verdict(struct chariot_vm *vm, uint32_t domain,
					uint32_t verdict);
CHARIOT_API int chariot_vm__drop(struct chariot_vm *vm, uint32_t domain);
/* Rows of the ACT; *@rows is malloc()ed.  Number of rows, or -errno. */
CHARIOT_API ssize_t chariot_vm__act(struct chariot_vm *vm, uint32_t domain,
				    struct chariot_object **rows);
/* @name has less than CHARIOT_NAME_LEN bytes. */
CHARIOT_API int chariot_vm__request(struct chariot_vm *vm, uint32_t what,
				    const char *name);
/* Next event: 1; 0 when the time is over or a signal came; -errno.  @timeout_ms -1:
 * wait. */
CHARIOT_API int chariot_vm__next_event(struct chariot_vm *vm,
				       struct chariot_event *ev, int timeout_ms);

/* "e1000_xmit_frame+0x41c", "init_uts_ns+0x45", "0xffff888001234560": into
 * @buf; also drivers that are loaded are looked at. */
CHARIOT_API const char *chariot_vm__symbolize(struct chariot_vm *vm,
					      uint64_t addr, char *buf, size_t len);
/* One line for people: what happened, where, to what, and what was done. */
CHARIOT_API const char *chariot_vm__describe(struct chariot_vm *vm,
					     const struct chariot_event *ev,
					     char *buf, size_t len);

/* A guard's verdict, which the module does not know: recover for a driver that has
 * proved itself, and report for one that has not yet (chariot.policy(5), "probation"). */
#define CHARIOT_VERDICT_AUTO	0x100
/* What chariot guard and attach, the libvirt hook and QEMU's device give to a guard
 * that is not told a verdict. */
#define CHARIOT_VERDICT_DEFAULT	CHARIOT_VERDICT_AUTO
CHARIOT_API const char *chariot_verdict_name(uint32_t verdict);
CHARIOT_API int chariot_verdict_by_name(const char *name);	/* or -EINVAL */
CHARIOT_API const char *chariot_mode_name(uint32_t mode);
CHARIOT_API int chariot_mode_by_name(const char *name);		/* or -EINVAL */
/*
 * May @len bytes, less than CHARIOT_DRIVER_LEN, be the name of a driver?  Letters,
 * digits, '_', and '-' behind.  One that is several modules, which are isolated
 * together, is "qxl+ttm+drm_ttm_helper", by their names, or "qxl+": with those that it
 * depends on and that nothing else needs.  It is called by the first one.
 */
#define CHARIOT_DRIVER_LEN	256
CHARIOT_API bool chariot_name_ok(const char *name, size_t len);
/* Is it the same driver?  In names of modules '-' and '_' are the same; what is behind
 * a '+' does not count. */
CHARIOT_API bool chariot_same_driver(const char *a, const char *b);
CHARIOT_API const char *chariot_source_name(uint32_t source);
CHARIOT_API const char *chariot_event_name(uint32_t type);

/* ---- trust: which builds of drivers have proved themselves --------------- */

/*
 * A build is a driver for one kernel, with one version of Chariot.  What is known of
 * it is a file of JSON in the state's directory (chariot-driver(8)), or in one of
 * those that are shipped, CHARIOT_PROVED_DIRS, which are only read.
 */
#define CHARIOT_STATE_DIR	"/var/lib/chariot"
#define CHARIOT_PROVED_DIRS	"/usr/local/share/chariot/proved", \
				"/usr/share/chariot/proved"
#define CHARIOT_ID_LEN	64

enum chariot_trust_state {
	CHARIOT_TRUST_PROBATION,	/* no report so far, but not long enough */
	CHARIOT_TRUST_PROVED,		/* is enforced from its start */
	CHARIOT_TRUST_HELD,		/* there was a report: stays so until somebody looks */
	CHARIOT_NR_TRUST_STATES
};
enum chariot_trust_by {			/* who has said so */
	CHARIOT_TRUST_BY_PROBATION,
	CHARIOT_TRUST_BY_OPERATOR,	/* chariot driver trust */
	CHARIOT_TRUST_BY_MEASURED,	/* by the tests, before it was shipped */
	CHARIOT_NR_TRUST_BYS
};
struct chariot_trust {
	size_t sz;			/* sizeof(struct chariot_trust) */
	char driver[CHARIOT_NAME_LEN];
	char module[CHARIOT_ID_LEN];	/* build-id, or "symbols-" and a hash of these */
	char kernel[CHARIOT_ID_LEN];	/* build-id, or "release-" and a hash of that */
	char release[CHARIOT_ID_LEN];	/* of the kernel, for people */
	char chariot[16];		/* version */
	uint32_t state, by;		/* CHARIOT_TRUST_*, CHARIOT_TRUST_BY_* */
	uint64_t entries, seconds;	/* under report, without one */
	char reason[512];		/* HELD: the first report's text */
	char rules[2048];		/* HELD: policy that would allow what was reported,
					 * one statement a line */
};

/* @dir, or without one $CHARIOT_STATE, or CHARIOT_STATE_DIR. */
CHARIOT_API const char *chariot_trust__dir(const char *dir);
/* One file.  -EINVAL: it is spoilt, and the log says where. */
CHARIOT_API int chariot_trust__read(const char *path, struct chariot_trust *t);
/* For each file of @dir (as above) and what is shipped, by name, until @fn returns
 * something but 0; @err, not 0, is for one that is spoilt, of which the name is known.
 * A directory that is not there has none. */
CHARIOT_API int chariot_trust__each(const char *dir,
				    int (*fn)(void *ctx, const char *path, int err,
					      const struct chariot_trust *t),
				    void *ctx);
/* Of the build that @d is, for the kernel of @p; with @d NULL of the one that @t names.
 * On probation, with 0, if nothing is known of it. */
CHARIOT_API void chariot_trust__of(const char *dir, const struct chariot_profile *p,
				   const struct chariot_driver *d,
				   struct chariot_trust *t);
/* Make the file of that build, or replace it, at once. */
CHARIOT_API int chariot_trust__write(const char *dir,
				     const struct chariot_trust *t);
CHARIOT_API const char *chariot_trust_state_name(uint32_t state);
CHARIOT_API const char *chariot_trust_by_name(uint32_t by);

/* The policy statement that would allow what a VIOLATION event tells of, into @buf;
 * "" when that is not easy to say. */
CHARIOT_API const char *chariot_vm__propose(struct chariot_vm *vm,
					    const struct chariot_event *ev,
					    char *buf, size_t len);

/* ---- guard: isolate named drivers of a VM as the guest loads them ------- */

struct chariot_guard;

struct chariot_guard_opts {
	size_t sz;			/* sizeof(struct chariot_guard_opts) */
	const char *drivers;		/* "e1000,nvme,qxl+ttm"; may be "" */
	const char *const *policies;	/* files; NULL-terminated or NULL */
	uint32_t verdict;		/* CHARIOT_VERDICT_*, also AUTO; 0 is REPORT, not the
					 * default */
	bool fail_stop;			/* when we fail, the ERROR event has verdict PAUSE:
					 * @on_event is to stop the VM */
	uint32_t timeout_ms;		/* vCPU waits at most; 0: 60000 */
	/* Called in the guard's thread for every event, after it was handled. */
	void (*on_event)(void *ctx, const struct chariot_event *ev,
			 const char *text);
	void *ctx;
	bool events_apart;		/* they go to @on_event, not into the log, too */
	const char *state_dir;		/* of AUTO, as chariot_trust__dir(); must outlive the
					 * guard */
};

/* Starts a thread that serves @vm, and owns it from then on; if this fails @vm stays the
 * caller's. */
CHARIOT_API struct chariot_guard *
chariot_guard__start(struct chariot_vm *vm, const struct chariot_guard_opts *o);
/* Stops the thread, drops the domains, frees @vm. */
CHARIOT_API void chariot_guard__stop(struct chariot_guard *g);
/* The guest was reset: forget its kernel, isolate again when it boots.
 * Any thread. */
CHARIOT_API int chariot_guard__reset(struct chariot_guard *g);
/* Statistics of domain NAME, of the whole VM with NULL.  Any thread. */
CHARIOT_API int chariot_guard__stats(struct chariot_guard *g, const char *name,
				     struct chariot_stats *st);
CHARIOT_API int chariot_guard__set_verdict(struct chariot_guard *g,
					   uint32_t verdict);
/* Isolate driver NAME, too, of less than CHARIOT_NAME_LEN bytes with all its modules.
 * The thread does it; -EBUSY: it is at another.  Any thread. */
CHARIOT_API int chariot_guard__ask(struct chariot_guard *g, const char *name);
enum chariot_driver_state {
	CHARIOT_DRIVER_UNKNOWN,		/* not to be isolated */
	CHARIOT_DRIVER_ASKED,		/* it will be, but not if it is loaded now */
	CHARIOT_DRIVER_AWAITED,		/* it will be when the guest loads it */
	CHARIOT_DRIVER_ISOLATED,
	CHARIOT_DRIVER_REPORTED,	/* its verdict is report */
};
/* Of driver NAME, or -errno.  Any thread. */
CHARIOT_API int chariot_guard__state(struct chariot_guard *g, const char *name);

#ifdef __cplusplus
}
#endif
#endif
