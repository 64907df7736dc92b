/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM chariot

#if !defined(CHARIOT_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define CHARIOT_TRACE_H

#include <linux/tracepoint.h>
#include <linux/chariot.h>

/* A vCPU changes its view; why is one of the words of the decision table. */
TRACE_EVENT(chariot_gate,
	TP_PROTO(unsigned int vcpu, unsigned int domain, const char *why,
		 u64 rip, u64 rsp),
	TP_ARGS(vcpu, domain, why, rip, rsp),
	TP_STRUCT__entry(
		__field(unsigned int, vcpu)
		__field(unsigned int, domain)
		__field(const char *, why)
		__field(u64, rip)
		__field(u64, rsp)
	),
	TP_fast_assign(
		__entry->vcpu = vcpu;
		__entry->domain = domain;
		__entry->why = why;
		__entry->rip = rip;
		__entry->rsp = rsp;
	),
	TP_printk("vcpu %u domain %u %s rip %llx rsp %llx", __entry->vcpu,
		  __entry->domain, __entry->why, __entry->rip, __entry->rsp)
);

/* A write on a shared page was emulated and may happen. */
TRACE_EVENT(chariot_write,
	TP_PROTO(unsigned int domain, u64 rip, u64 gva, unsigned int len,
		 unsigned int may),
	TP_ARGS(domain, rip, gva, len, may),
	TP_STRUCT__entry(
		__field(unsigned int, domain)
		__field(u64, rip)
		__field(u64, gva)
		__field(unsigned int, len)
		__field(unsigned int, may)
	),
	TP_fast_assign(
		__entry->domain = domain;
		__entry->rip = rip;
		__entry->gva = gva;
		__entry->len = len;
		__entry->may = may;
	),
	TP_printk("domain %u rip %llx gva %llx len %u by %s", __entry->domain,
		  __entry->rip, __entry->gva, __entry->len,
		  __print_symbolic(__entry->may, { 1, "act" }, { 2, "stack" },
				   { 3, "argument" }, { 4, "device" }))
);

TRACE_EVENT(chariot_violation,
	TP_PROTO(unsigned int domain, u64 rip, u64 gva, unsigned int len,
		 unsigned int why, unsigned int verdict),
	TP_ARGS(domain, rip, gva, len, why, verdict),
	TP_STRUCT__entry(
		__field(unsigned int, domain)
		__field(u64, rip)
		__field(u64, gva)
		__field(unsigned int, len)
		__field(unsigned int, why)
		__field(unsigned int, verdict)
	),
	TP_fast_assign(
		__entry->domain = domain;
		__entry->rip = rip;
		__entry->gva = gva;
		__entry->len = len;
		__entry->why = why;
		__entry->verdict = verdict;
	),
	TP_printk("domain %u rip %llx gva %llx len %u %s: %s",
		  __entry->domain, __entry->rip, __entry->gva, __entry->len,
		  __print_symbolic(__entry->why, { 0, "write" },
				   { 1, "fetch" }, { 2, "entry" },
				   { 3, "unbalanced" }, { 4, "loop" },
				   { 5, "panic" }, { 6, "oops" },
				   { 7, "atomic" }, { 8, "free" }),
		  __print_symbolic(__entry->verdict, { 0, "report" },
				   { 1, "skip" }, { 2, "oops" },
				   { 3, "pause" }, { 4, "recover" }))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
