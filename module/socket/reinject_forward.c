// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is forwarded re-enters its hook (reinject.c), and goes on as ip_forward() would have it.
 */
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/xfrm.h>

#include "reinject.h"

/*
 * As come by its interface; but with a source that is this host's by destination, and so what was
 * taken on output and would not be let in like that (I8).
 */
static int route_forwarded(struct divert_reentry *r, struct sk_buff *skb, struct net_device *dev)
{
	bool anyhow = r->rerouted && r->p->hook == DIVERT_OUTPUT;
	int err;

	if (r->p->mroute)
		return divert_reentry_route(r, skb, 0, r->p->out);
	if (__ip_dev_find(sock_net(r->sk), ip_hdr(skb)->saddr, false))
		return divert_reentry_route(r, skb, 0, r->p->oif);
	skb_dst_drop(skb);
	err = divert_route_input(skb, ip_hdr(skb), dev);
	if (anyhow && (err || skb_rtable(skb)->rt_type != RTN_UNICAST))
		return divert_reentry_route(r, skb, 0, r->p->oif);
	if (err)
		return -ENETUNREACH;
	skb_dst_force(skb);
	if (skb_rtable(skb)->rt_type == RTN_UNICAST && !xfrm4_route_forward(skb))
		return -ENETUNREACH;
	return 0;
}

int divert_reinject_forward(struct divert_reentry *r, struct sk_buff *skb)
{
	int err;

	skb_orphan(skb);
	skb->dev = r->dev;
	if (r->rerouted || !divert_has_route(skb)) {
		err = route_forwarded(r, skb, r->dev);
		if (err)
			goto drop;
		IPCB(skb)->flags &= ~IPSKB_DOREDIRECT;
		err = -ENETUNREACH;
		if (r->told && skb_dst(skb)->error)
			goto drop;
		if (skb_rtable(skb)->rt_is_input && skb_rtable(skb)->rt_type != RTN_UNICAST) {
			dst_input(skb);
			return 0;
		}
	}
	err = -EMSGSIZE;
	if (!skb->ignore_df &&
	    divert_reentry_too_big(skb, ip_dst_mtu_maybe_forward(skb_dst(skb), true)))
		goto drop;
	IPCB(skb)->flags |= IPSKB_FORWARDED;
	r->state.in = r->dev;
	r->state.out = skb_dst(skb)->dev;
	return divert_reentry_go_on(r, skb);

drop:
	kfree_skb(skb);
	return err;
}
