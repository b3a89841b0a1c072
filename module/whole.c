// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whole datagrams and their parts: always-defragment (F4), datagrams that are
 * cut before the chain without it, and large segments.
 */
#include <linux/netdevice.h>
#include <net/ip.h>
#include <net/route.h>

#include "socket.h"

/* Datagrams that nobody else puts together. */
#define DIVERT_DEFRAG_USER	0x64760000

/*
 * F4. Returns 0 when the datagram is whole, and then skb is it, and *whole is its mark;
 * otherwise skb is gone. mark: of this part; NULL if it was not injected.
 */
int divert_gather(struct net *net, struct sk_buff *skb, u32 user,
		  const struct divert_mark *mark, struct divert_mark *whole)
{
	int err;

	divert_part_note(net, skb, user, mark && mark->port ? mark : NULL);
	err = ip_defrag(net, skb, DIVERT_DEFRAG_USER + user);
	if (err)
		return err;
	divert_part_whole(net, skb, user, whole);
	skb->ignore_df = 1;
	/* As from 2.2, it is cut for its next link, not into what it came in. */
	IPCB(skb)->frag_max_size = 0;
	return 0;
}

/* One part, which has met its chain, goes on from where its whole was. */
static void pass_on(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct nf_hook_state rest = *state;

	if (divert_resume_behind(skb, &rest, DIVERT_PLACE) == 1)
		rest.okfn(rest.net, rest.sk, skb);
}

/*
 * The packets that a large segment stands for, or an error. No feature is a card's
 * here, so there is always a list of them; but what comes from a program or another
 * machine (SKB_GSO_DODGY) has its sums in whatever state, of which the kernel warns.
 */
static struct sk_buff *segments_of(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct sk_buff *segs, *seg;
	int err, link;

	/* Its sums are written before it is cut. */
	err = skb_cow_head(skb, 0);
	if (err)
		return ERR_PTR(err);
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	/* M11: each has the link's header that the whole had, for whoever looks at it. */
	link = state->hook != NF_INET_LOCAL_OUT && skb_mac_header_was_set(skb) ?
	       -skb_mac_offset(skb) : 0;
	__skb_push(skb, link);
	segs = __skb_gso_segment(skb, 0, state->hook != NF_INET_LOCAL_OUT);
	if (IS_ERR_OR_NULL(segs)) {
		__skb_pull(skb, link);
		return segs ?: ERR_PTR(-EINVAL);
	}
	for (seg = segs; seg; seg = seg->next)
		__skb_pull(seg, link);
	if (segs != skb)
		__skb_pull(skb, link);
	return segs;
}

/*
 * A segment larger than the MTU, made by the stack for a card or from what a
 * card received: each of its packets meets the chains for itself (S7).
 *
 * Most kinds are copied into packets of their own, and the segment is left. A list of
 * packets (SKB_GSO_FRAGLIST) is taken apart: its first packet is the segment itself,
 * with a reference more, which is given up before anybody writes to the packet. It
 * is gone then like the others, and nobody is told if one of them is dropped: lists are
 * made of what was received, and have no sender here.
 */
unsigned int divert_split(struct sk_buff *skb, const struct nf_hook_state *state,
			  unsigned int (*walk)(struct sk_buff *skb,
					       const struct nf_hook_state *state))
{
	struct sk_buff *segs, *seg, *next;
	unsigned int verdict = NF_STOLEN;
	bool apart;

	segs = segments_of(skb, state);
	if (IS_ERR(segs))
		return NF_DROP_ERR(PTR_ERR(segs));
	apart = segs == skb;
	if (apart)
		consume_skb(skb);
	skb_list_walk_safe(segs, seg, next) {
		skb_mark_not_on_list(seg);
		switch (walk(seg, state)) {
		case NF_ACCEPT:
			pass_on(seg, state);
			break;
		case NF_DROP:
			kfree_skb(seg);
			if (!apart)
				verdict = NF_DROP;
			break;
		}
	}
	if (verdict == NF_STOLEN && !apart)
		consume_skb(skb);
	return verdict;
}

/* The part of a datagram that was cut, on its way through the chain. */
struct cut {
	struct divert_flight		flight;
	const struct nf_hook_state	*state;
};

static int cut_output(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	struct divert_flight *flight = divert_flight_now();
	struct cut *cut = container_of(flight, struct cut, flight);
	struct nf_hook_state rest = *cut->state;
	int ret;

	/* The chain sees it as any packet of this host's. */
	ret = divert_resume_at(skb, &rest);
	if (ret == 1)
		ret = rest.okfn(net, sk, skb);
	return ret < 0 ? ret : 0;
}

/*
 * F1, F2: without always-defragment the output chain sees a local datagram in
 * the fragments that it leaves in. The sender is told what became of the first
 * that the chain refused.
 */
unsigned int divert_cut(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct cut cut = { .flight.way = DIVERT_WAY_CUT, .state = state };
	struct sk_buff *copy;
	int err;

	copy = skb_clone(skb, GFP_ATOMIC);
	if (!copy)
		return NF_DROP_ERR(-ENOBUFS);
	if (skb->sk && sk_fullsock(skb->sk))
		skb_set_owner_w(copy, skb->sk);
	copy->ignore_df = skb->ignore_df;
	divert_flight_begin(&cut.flight);
	err = ip_do_fragment(state->net, state->sk, copy, cut_output);
	divert_flight_end(&cut.flight);
	if (err < 0)
		return NF_DROP_ERR(err);
	consume_skb(skb);
	return NF_STOLEN;
}
