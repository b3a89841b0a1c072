/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A packet that re-enters a hook, as reinject.c and reinject_forward.c know it.
 */
#ifndef DIVERT_REINJECT_H
#define DIVERT_REINJECT_H

#include "socket.h"

struct divert_reentry {
	struct sock		*sk;		/* the divert socket */
	const struct divert_pending *p;
	bool			whole;		/* not of a stub */
	bool			rerouted;	/* other addresses, or type of service */
	bool			retracked;	/* other addresses, ports, or protocol */
	struct nf_hook_state	state;
	struct divert_mark	mark;
};

/* reinject.c; under RCU, with bottom halves off */
int divert_reentry_go_on(struct divert_reentry *r, struct sk_buff *skb);
int divert_reentry_try(struct divert_reentry *r, struct sk_buff *skb,
		       struct divert_inject_ctx *ctx, struct sock *owner);
struct net_device *divert_reentry_device(const struct divert_reentry *r, int *err);
int divert_reentry_route(struct divert_reentry *r, struct sk_buff *skb, __be32 saddr, int oif);

/* reinject_forward.c */
int divert_reinject_forward(struct divert_reentry *r, struct sk_buff *skb);

#endif /* DIVERT_REINJECT_H */
