// SPDX-License-Identifier: GPL-2.0
/*
 * count fentry|kprobe FUNCTION COMMAND: how often FUNCTION of the kernel is called
 * while COMMAND runs, counted by a BPF program: on its first instruction, as
 * bpftrace's kfunc does, or on a probe, as its kprobe does.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int die(const char *what)
{
	fprintf(stderr, "count: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int or_die(int fd, const char *what)
{
	return fd < 0 ? die(what) : fd;
}

/* lock *(u64 *)value += 1; return 0 */
static int load(enum bpf_prog_type type, int map, struct bpf_prog_load_opts *o)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = map },
		{ },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1 },
		{ .code = BPF_STX | BPF_DW | BPF_ATOMIC, .dst_reg = BPF_REG_1,
		  .src_reg = BPF_REG_2, .imm = BPF_ADD },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return or_die(bpf_prog_load(type, "count", "GPL", insns,
				    sizeof(insns) / sizeof(*insns), o), "load the program");
}

static void on_entry(const char *function, int map)
{
	LIBBPF_OPTS(bpf_prog_load_opts, o, .expected_attach_type = BPF_TRACE_FENTRY);

	o.attach_btf_id = or_die(libbpf_find_vmlinux_btf_id(function, BPF_TRACE_FENTRY),
				 function);
	or_die(bpf_raw_tracepoint_open(NULL, load(BPF_PROG_TYPE_TRACING, map, &o)),
	       "attach to the entry");
}

static void on_probe(const char *function, int map)
{
	struct perf_event_attr attr = { .size = sizeof(attr) };
	FILE *f = fopen("/sys/bus/event_source/devices/kprobe/type", "r");
	int fd;

	if (!f || fscanf(f, "%u", &attr.type) != 1)
		die("type of kprobes");
	attr.config1 = (uintptr_t)function;
	fd = or_die(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC),
		    "probe");
	or_die(ioctl(fd, PERF_EVENT_IOC_SET_BPF, load(BPF_PROG_TYPE_KPROBE, map, NULL)),
	       "attach to the probe");
	or_die(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), "enable the probe");
}

int main(int argc, char **argv)
{
	uint64_t n = 0;
	int map, zero = 0;

	if (argc != 4 || (strcmp(argv[1], "fentry") && strcmp(argv[1], "kprobe"))) {
		fprintf(stderr, "usage: count fentry|kprobe FUNCTION COMMAND\n");
		return 2;
	}
	map = or_die(bpf_map_create(BPF_MAP_TYPE_ARRAY, "n", sizeof(zero), sizeof(n), 1,
				    NULL), "make the map");
	if (!strcmp(argv[1], "fentry"))
		on_entry(argv[2], map);
	else
		on_probe(argv[2], map);
	if (system(argv[3]))
		die(argv[3]);
	or_die(bpf_map_lookup_elem(map, &zero, &n), "read the map");
	printf("%llu\n", (unsigned long long)n);
	return !n;
}
