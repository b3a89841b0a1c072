// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large segments (GSO, GRO): the packets that they stand for meet the chains (M2).
 */
#include <linux/netdevice.h>
#include <net/ip.h>

#include "socket.h"

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
		       -skb_mac_offset(skb) :
		       0;
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
unsigned int divert_split(struct divert_ports *ports, struct sk_buff *skb,
			  const struct nf_hook_state *state, divert_walk_fn *walk)
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
	skb_list_walk_safe(segs, seg, next)
	{
		skb_mark_not_on_list(seg);
		switch (walk(ports, seg, state)) {
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
