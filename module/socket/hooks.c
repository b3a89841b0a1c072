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
	struct divert_inject_ctx *ctx = divert_inject_now();

	return ctx && ctx->way == way ? &ctx->mark : NULL;
}

/* As 2.2: who sent it is told by ICMP, but a sender of this host by EPERM. */
static void reject(struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct iphdr *iph = ip_hdr(skb);

	switch (state->hook) {
	case NF_INET_PRE_ROUTING:
		if (!skb_valid_dst(skb) && divert_route_input(skb, iph, skb->dev))
			break;
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0);
		break;
	case NF_INET_FORWARD:
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
		break;
	}
}

static unsigned int walk(struct divert_ports *ports, struct sk_buff *skb,
			 const struct nf_hook_state *state, u8 hook, struct divert_mark *mark)
{
	struct divert_walk w = {
		.net = state->net,
		.table = ports->chains,
		.ports = ports,
		.skb = skb,
		.mark = mark,
		.dev = hook == DIVERT_INPUT ? state->in : state->out,
		.hook = hook,
	};
	int verdict;

	if (!pskb_may_pull(skb, min_t(unsigned int, skb->len, 128)))
		return NF_DROP;
	verdict = fw_walk(&w, ip_hdr(skb), skb->len);
	if (mark && mark->hook == hook)
		mark->hook = 0; /* T3: re-entered */
	switch (verdict) {
	case FW_ACCEPT:
		return NF_ACCEPT;
	case FW_DIVERT:
		if (!w.sk)
			return NF_DROP; /* P1: as by DENY */
		divert_enqueue(&w, state);
		return NF_STOLEN; /* S9: a success */
	case FW_REJECT:
		reject(skb, state);
		return NF_DROP;
	default:
		return NF_DROP;
	}
}

static unsigned int walk_in(struct divert_ports *ports, struct sk_buff *skb,
			    const struct nf_hook_state *state)
{
	struct divert_mark looped, *mark = mark_of(DIVERT_WAY_IN);

	if (divert_loop_marked(skb, &looped))
		mark = &looped;
	return walk(ports, skb, state, DIVERT_INPUT, mark);
}

/* What came in by injection, and what of it conntrack has put together. */
static struct divert_mark *forward_mark(const struct net *net, const struct sk_buff *skb,
					struct divert_mark *whole)
{
	struct divert_mark *mark = mark_of(DIVERT_WAY_IN);

	if (likely(!mark) || !IPCB(skb)->frag_max_size)
		return mark;
	divert_part_whole((struct net *)net, skb, DIVERT_BY_CONNTRACK, whole);
	return whole;
}

static unsigned int walk_both(struct divert_ports *ports, struct sk_buff *skb,
			      const struct nf_hook_state *state, struct divert_mark *mark)
{
	unsigned int verdict = NF_ACCEPT;

	if (!mark || mark->hook != DIVERT_OUTPUT)
		verdict = walk(ports, skb, state, DIVERT_FORWARD, mark);
	if (verdict == NF_ACCEPT)
		verdict = walk(ports, skb, state, DIVERT_OUTPUT, mark);
	return verdict;
}

static unsigned int walk_forward(struct divert_ports *ports, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	struct divert_mark whole;

	return walk_both(ports, skb, state, forward_mark(state->net, skb, &whole));
}

static unsigned int walk_out(struct divert_ports *ports, struct sk_buff *skb,
			     const struct nf_hook_state *state)
{
	struct divert_inject_ctx *ctx = divert_inject_now();
	struct divert_mark carried, *mark = NULL;
	unsigned int verdict;

	if (ctx && ctx->way == DIVERT_WAY_OUT && !ctx->left) {
		ctx->left = true;
		verdict = walk(ports, skb, state, DIVERT_OUTPUT, &ctx->mark);
		if (verdict == NF_ACCEPT)
			divert_carry(skb, &ctx->mark);
		return verdict;
	}
	if (divert_carried(skb, &carried))
		mark = &carried;
	return walk(ports, skb, state, DIVERT_OUTPUT, mark);
}

/* A packet that was taken at this hook re-enters it (T3). Under RCU, with bottom halves off. */
unsigned int divert_walk_again(struct divert_ports *ports, struct sk_buff *skb,
			       const struct nf_hook_state *state, u8 hook, struct divert_mark *mark)
{
	if (state->hook == NF_INET_FORWARD)
		return walk_both(ports, skb, state, mark);
	return walk(ports, skb, state, hook, mark);
}

/*
 * IP calls this hook for the VRF, too, that the interface is in: after the interface's own when a
 * packet is received, before it when one is sent. The chains are met at the interface.
 */
static bool is_received_by_vrf(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return netif_is_l3_master(state->in) && ipv4_l3mdev_skb(IPCB(skb)->flags);
}

/* What is injected may wait in the VRF's queue before it comes to the interface. */
static bool is_sent_by_vrf(struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct divert_mark *mark;

	if (!netif_is_l3_master(state->out))
		return false;
	mark = mark_of(DIVERT_WAY_OUT);
	if (mark)
		divert_carry(skb, mark);
	return true;
}

/*
 * An injected packet has met the chains, and may wait from here on: what is behind this hook is
 * called here, where its mark can be given along.
 */
static unsigned int go_on(struct sk_buff *skb, const struct nf_hook_state *state,
			  const struct divert_mark *mark, const void *place)
{
	divert_go_on(skb, state, mark, place);
	return NF_STOLEN;
}

/* Whether anything is to be done at all; for each packet. */
static bool is_used(const struct divert_ports *ports, const struct net *net)
{
	return READ_ONCE(ports->used) && divert_admits(net);
}

unsigned int divert_hook_in(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct divert_ports *ports = divert_ports(state->net);
	unsigned int verdict = NF_ACCEPT;
	struct divert_mark *mark;

	if (!is_used(ports, state->net) || divert_is_bridged(skb, state) ||
	    is_received_by_vrf(skb, state))
		return NF_ACCEPT;
	local_bh_disable();
	mark = mark_of(DIVERT_WAY_IN);
	if (divert_gather(state->net, skb, mark)) {
		verdict = NF_STOLEN;
		goto out;
	}
	if (!mark && fw_fastpath(ports->chains, skb, DIVERT_INPUT, DIVERT_INPUT))
		goto out;
	if (skb_is_gso(skb))
		verdict = divert_split(ports, skb, state, walk_in);
	else
		verdict = walk_in(ports, skb, state);
	if (verdict == NF_ACCEPT && mark && !divert_is_last(state))
		verdict = go_on(skb, state, mark, priv);
out:
	local_bh_enable();
	return verdict;
}

unsigned int divert_hook_forward(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct divert_ports *ports = divert_ports(state->net);
	unsigned int verdict = NF_ACCEPT;

	if (!is_used(ports, state->net) || divert_is_bridged(skb, state))
		return NF_ACCEPT;
	local_bh_disable();
	if (fw_fastpath(ports->chains, skb, DIVERT_FORWARD, DIVERT_OUTPUT))
		goto out;
	if (skb_is_gso(skb))
		verdict = divert_split(ports, skb, state, walk_forward);
	else
		verdict = walk_forward(ports, skb, state);
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
	const struct divert_inject_ctx *ctx = divert_inject_now();

	if (ctx && ctx->way == DIVERT_WAY_OUT && ctx->whole)
		return false;
	return !divert_defrag(state->net) && !(ip_hdr(skb)->frag_off & htons(IP_DF)) &&
	       skb->len > ip_skb_dst_mtu(state->sk, skb);
}

unsigned int divert_hook_out(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct divert_ports *ports = divert_ports(state->net);
	unsigned int verdict = NF_ACCEPT;
	bool cut;

	/* What a raw socket sends may be shorter than a header. */
	if (skb->len < sizeof(struct iphdr) || !is_used(ports, state->net))
		return NF_ACCEPT;
	local_bh_disable();
	if (is_report(skb, state) || is_sent_by_vrf(skb, state))
		goto out;
	cut = !skb_is_gso(skb) && is_cut(skb, state);
	if (!mark_of(DIVERT_WAY_OUT) && !cut &&
	    fw_fastpath(ports->chains, skb, DIVERT_OUTPUT, DIVERT_OUTPUT))
		goto out;
	if (skb_is_gso(skb))
		verdict = divert_split(ports, skb, state, walk_out);
	else if (cut)
		verdict = divert_cut(skb, state);
	else
		verdict = walk_out(ports, skb, state);
out:
	local_bh_enable();
	return verdict;
}

/*
 * T1: the copy of an injected packet that is looped back to this host comes in later, with the
 * port of its injection.
 */
unsigned int divert_hook_copy(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct divert_inject_ctx *ctx = divert_inject_now();
	const struct rtable *rt = skb_rtable(skb);

	if (ctx && ctx->way == DIVERT_WAY_OUT && skb != ctx->skb && rt &&
	    rt->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST))
		divert_loop_mark(skb, &ctx->mark);
	return NF_ACCEPT;
}
