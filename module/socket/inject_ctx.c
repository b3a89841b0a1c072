// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packets that are injected just now, each as long as its injector is busy with it: bottom
 * halves are off, and all that happens to it happens in the injector's call, until it waits
 * somewhere (mark_carrier.c).
 *
 * They are told apart by the task, not by the processor alone: on a kernel that preempts soft
 * interrupts (PREEMPT_RT) two tasks can be in here at once.
 */
#include <linux/percpu.h>
#include <linux/sched.h>

#include "socket.h"

DEFINE_PER_CPU(struct divert_inject_ctx *, divert_inject_contexts);

void divert_inject_begin(struct divert_inject_ctx *ctx)
{
	ctx->task = current;
	preempt_disable();
	ctx->before = __this_cpu_read(divert_inject_contexts);
	__this_cpu_write(divert_inject_contexts, ctx);
	preempt_enable();
}

/* In whatever order those of several tasks end. */
void divert_inject_end(struct divert_inject_ctx *ctx)
{
	struct divert_inject_ctx **at;

	preempt_disable();
	for (at = this_cpu_ptr(&divert_inject_contexts); *at; at = &(*at)->before)
		if (*at == ctx) {
			*at = ctx->before;
			break;
		}
	preempt_enable();
}

struct divert_inject_ctx *divert_inject_find(void)
{
	struct divert_inject_ctx *ctx;

	preempt_disable();
	ctx = __this_cpu_read(divert_inject_contexts);
	while (ctx && ctx->task != current)
		ctx = ctx->before;
	preempt_enable();
	return ctx;
}
