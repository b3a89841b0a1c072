/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A packet that re-enters a hook, as reinject.c and reinject_forward.c know it.
 */
#ifndef DIVERT_REINJECT_H
#define DIVERT_REINJECT_H

#include "socket.h"

struct divert_reentry {
	struct sock *sk; /* the divert socket */
	const struct divert_pending *p;
	struct net_device *dev; /* that it came by */
	bool whole;             /* not of a stub */
	bool told;              /* its sender learns what becomes of it */
	bool rerouted;          /* other addresses, or type of service */
	bool retracked;         /* other addresses, ports, or protocol */
	struct nf_hook_state state;
	struct divert_mark mark;
};

/* reinject.c; under RCU, with bottom halves off */
int divert_reentry_go_on(struct divert_reentry *r, struct sk_buff *skb);
int divert_reentry_route(struct divert_reentry *r, struct sk_buff *skb, __be32 saddr, int oif);
bool divert_reentry_too_big(struct sk_buff *skb, unsigned int mtu);

/* reinject_forward.c; consumes it, 0 or an error */
int divert_reinject_forward(struct divert_reentry *r, struct sk_buff *skb);

#endif /* DIVERT_REINJECT_H */
