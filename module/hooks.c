// SPDX-License-Identifier: GPL-2.0-only
/*
 * Netfilter's hooks: a packet meets the chains of 2.2's hooks.
 *
 *	input		PRE_ROUTING
 *	forward, output	FORWARD, as 2.2's ip_forward() calls both
 *	output		LOCAL_OUT, for what this host sends
 *
 * They come before everything else that hangs there, connection tracking and
 * NAT included, so that what is taken has been seen by nobody, and what is
 * given back is seen by all.
 */
#include <linux/icmp.h>
#include <linux/netdevice.h>
#include <linux/netfilter_ipv4.h>
#include <net/dst_metadata.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/route.h>

#include "socket.h"

/* The mark of the packet at this hook, if it is the one that is on its way. */
static struct divert_mark *mark_of(u8 way)
{
	struct divert_flight *flight = divert_flight_now();

	return flight && flight->way == way ? &flight->mark : NULL;
}

/* As 2.2: who sent it is told by ICMP, but a sender of this host by EPERM. */
static void reject(struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct iphdr *iph = ip_hdr(skb);

	switch (state->hook) {
	case NF_INET_PRE_ROUTING:
		if (!skb_valid_dst(skb) &&
		    divert_route_input(skb, iph, skb->dev))
			break;
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
		break;
	case NF_INET_FORWARD:
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
		break;
	}
}

static unsigned int walk(struct sk_buff *skb, const struct nf_hook_state *state,
			 u8 hook, struct divert_mark *mark)
{
	struct divert_walk w = {
		.net	= state->net,
		.skb	= skb,
		.mark	= mark,
		.dev	= hook == DIVERT_INPUT ? state->in : state->out,
		.hook	= hook,
	};
	int verdict;

	if (!pskb_may_pull(skb, min_t(unsigned int, skb->len, 128)))
		return NF_DROP;
	verdict = fw_walk(&w, ip_hdr(skb), skb->len);
	if (mark && mark->hook == hook)
		mark->hook = 0;		/* T3: re-entered */
	switch (verdict) {
	case FW_ACCEPT:
		return NF_ACCEPT;
	case FW_DIVERT:
		if (!w.sk)
			return NF_DROP;		/* P1: as by DENY */
		divert_take(&w, state);
		return NF_STOLEN;		/* S9: a success */
	case FW_REJECT:
		reject(skb, state);
		return NF_DROP;
	default:
		return NF_DROP;
	}
}

static unsigned int walk_in(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct divert_mark copied, *mark = mark_of(DIVERT_WAY_IN);

	if (divert_mark_take(skb, &copied))
		mark = &copied;
	return walk(skb, state, DIVERT_INPUT, mark);
}

/* What re-enters here, or came in by injection. */
static struct divert_mark *forward_mark(void)
{
	return mark_of(DIVERT_WAY_FORWARD) ?: mark_of(DIVERT_WAY_IN);
}

static unsigned int walk_forward(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct divert_mark *mark = forward_mark();
	unsigned int verdict = NF_ACCEPT;

	if (!mark || mark->hook != DIVERT_OUTPUT)
		verdict = walk(skb, state, DIVERT_FORWARD, mark);
	if (verdict == NF_ACCEPT)
		verdict = walk(skb, state, DIVERT_OUTPUT, mark);
	return verdict;
}

static unsigned int walk_out(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct divert_flight *flight = divert_flight_now();
	struct divert_mark *mark = NULL;

	if (flight && flight->way == DIVERT_WAY_OUT && !flight->left) {
		flight->left = true;
		mark = &flight->mark;
	}
	return walk(skb, state, DIVERT_OUTPUT, mark);
}

unsigned int divert_hook_in(void *priv, struct sk_buff *skb,
			    const struct nf_hook_state *state)
{
	unsigned int verdict = NF_ACCEPT;
	struct divert_mark *mark;

	if (!divert_admits(state->net) || divert_is_bridged(skb, state))
		return NF_ACCEPT;
	local_bh_disable();
	divert_learn_input(skb, state);
	if (ip_is_fragment(ip_hdr(skb)) && divert_defrag(state->net)) {
		mark = mark_of(DIVERT_WAY_IN);
		if (divert_gather(state->net, skb, state->hook, mark)) {
			verdict = NF_STOLEN;
			goto out;
		}
	}
	if (!mark_of(DIVERT_WAY_IN) && fw_idle(state->net, skb, DIVERT_INPUT, DIVERT_INPUT))
		goto out;
	if (skb_is_gso(skb))
		verdict = divert_split(skb, state, walk_in);
	else
		verdict = walk_in(skb, state);
out:
	local_bh_enable();
	return verdict;
}

static unsigned int hook_forward(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	unsigned int verdict = NF_ACCEPT;
	const struct divert_mark *mark;

	if (!divert_admits(state->net) || divert_is_bridged(skb, state))
		return NF_ACCEPT;
	local_bh_disable();
	mark = forward_mark();
	if ((!mark || !mark->hook) &&
	    fw_idle(state->net, skb, DIVERT_FORWARD, DIVERT_OUTPUT))
		goto out;
	if (skb_is_gso(skb))
		verdict = divert_split(skb, state, walk_forward);
	else
		verdict = walk_forward(skb, state);
out:
	local_bh_enable();
	return verdict;
}

/* R2: IGMP's own reports meet no output chain. */
static bool is_report(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return ip_hdr(skb)->protocol == IPPROTO_IGMP && !skb->sk && !state->sk &&
	       !mark_of(DIVERT_WAY_OUT);
}

static bool is_cut(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct divert_flight *flight = divert_flight_now();

	if (flight && flight->way == DIVERT_WAY_OUT && flight->whole)
		return false;
	return !divert_defrag(state->net) && !(ip_hdr(skb)->frag_off & htons(IP_DF)) &&
	       skb->len > ip_skb_dst_mtu(state->sk, skb);
}

static unsigned int hook_out(void *priv, struct sk_buff *skb,
			     const struct nf_hook_state *state)
{
	unsigned int verdict = NF_ACCEPT;

	/* What a raw socket sends may be shorter than a header. */
	if (skb->len < sizeof(struct iphdr) || !divert_admits(state->net))
		return NF_ACCEPT;
	local_bh_disable();
	if (is_report(skb, state))
		goto out;
	if (!mark_of(DIVERT_WAY_OUT) && (skb_is_gso(skb) || !is_cut(skb, state)) &&
	    fw_idle(state->net, skb, DIVERT_OUTPUT, DIVERT_OUTPUT))
		goto out;
	if (skb_is_gso(skb))
		verdict = divert_split(skb, state, walk_out);
	else if (is_cut(skb, state))
		verdict = divert_cut(skb, state);
	else
		verdict = walk_out(skb, state);
out:
	local_bh_enable();
	return verdict;
}

/*
 * T1: the copy of an injected packet that is looped back to this host (a clone,
 * which has no socket) comes in later, with the port of its injection.
 */
static unsigned int hook_copy(void *priv, struct sk_buff *skb,
			      const struct nf_hook_state *state)
{
	const struct divert_flight *flight;
	const struct rtable *rt = skb_rtable(skb);

	local_bh_disable();
	flight = divert_flight_now();
	if (flight && flight->way == DIVERT_WAY_OUT && !skb->sk && rt &&
	    rt->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST))
		divert_mark_copy(skb, &flight->mark);
	local_bh_enable();
	return NF_ACCEPT;
}

static const struct nf_hook_ops divert_nf_ops[] = {
	{
		.hook		= divert_hook_in,
		.priv		= DIVERT_HOOK,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	}, {
		.hook		= hook_forward,
		.priv		= DIVERT_HOOK,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_FORWARD,
		.priority	= NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	}, {
		.hook		= hook_out,
		.priv		= DIVERT_HOOK,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	}, {
		.hook		= hook_copy,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= NF_IP_PRI_LAST,
	},
};

static int __net_init divert_hooks_net_init(struct net *net)
{
	return nf_register_net_hooks(net, divert_nf_ops, ARRAY_SIZE(divert_nf_ops));
}

static void __net_exit divert_hooks_net_exit(struct net *net)
{
	nf_unregister_net_hooks(net, divert_nf_ops, ARRAY_SIZE(divert_nf_ops));
}

static struct pernet_operations divert_hooks_ops = {
	.init	= divert_hooks_net_init,
	.exit	= divert_hooks_net_exit,
};

int __init divert_hooks_init(void)
{
	int err = register_pernet_subsys(&divert_hooks_ops);

	if (err)
		return err;
	err = divert_bridge_init();
	if (err)
		unregister_pernet_subsys(&divert_hooks_ops);
	return err;
}

void divert_hooks_exit(void)
{
	divert_bridge_exit();
	unregister_pernet_subsys(&divert_hooks_ops);
}
