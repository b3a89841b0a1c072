/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is injected just now: inject_ctx.c.
 */
#ifndef DIVERT_INJECT_CTX_H
#define DIVERT_INJECT_CTX_H

#include <linux/percpu.h>

#include "divert.h"

struct sk_buff;
struct task_struct;

/*
 * One packet on its way, for as long as its injector is busy with it: inject_ctx.c. Packets
 * that the stack makes meanwhile are told from it by their hook.
 */
struct divert_inject_ctx {
	struct divert_inject_ctx *before;
	const struct task_struct *task;
	const struct sk_buff *skb; /* OUT: the packet itself */
	struct divert_mark mark;
	u8 way;
#define DIVERT_WAY_IN  1 /* the PRE_ROUTING hook and on */
#define DIVERT_WAY_OUT 2 /* the LOCAL_OUT hook and on */
#define DIVERT_WAY_CUT 3 /* the parts of a datagram that is cut before its chain */
	bool whole;      /* OUT: not to be cut before the chain */
	bool left;       /* OUT: has met its chain */
};

DECLARE_PER_CPU(struct divert_inject_ctx *, divert_inject_contexts);
void divert_inject_begin(struct divert_inject_ctx *ctx);
void divert_inject_end(struct divert_inject_ctx *ctx);
struct divert_inject_ctx *divert_inject_find(void);

/*
 * That of this task. Whoever has one has bottom halves off, and so stays on his processor: in any
 * context this is right.
 */
static inline struct divert_inject_ctx *divert_inject_now(void)
{
	return likely(!this_cpu_read(divert_inject_contexts)) ? NULL : divert_inject_find();
}

#endif /* DIVERT_INJECT_CTX_H */
