// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whole datagrams and their parts: always-defragment (F4), datagrams that are
 * cut before the chain without it, large segments, and the mark (T1) where a
 * packet leaves this processor's hands.
 */
#include <linux/netdevice.h>
#include <linux/random.h>
#include <linux/once.h>
#include <net/dst_metadata.h>
#include <net/ip.h>
#include <net/route.h>

#include "socket.h"

/* Datagrams that nobody else puts together. */
#define DIVERT_DEFRAG_USER	0x64760000

/*
 * T1: a part that waits for the others keeps its mark where a packet that came
 * from a card has the number of its queue. No such number is that large.
 */
#define PART_MARKED	0x80000000U

#if defined(CONFIG_NET_RX_BUSY_POLL) && defined(CONFIG_NETWORK_SECMARK)
static void part_write(struct sk_buff *skb, const struct divert_mark *mark)
{
	skb->napi_id = 0;
	skb->secmark = 0;
	if (mark) {
		skb->napi_id = PART_MARKED | mark->hook << 16 | mark->port;
		skb->secmark = mark->rule;
	}
}

/* Reassembled, a datagram keeps only what all of its parts share. */
static void part_glue(struct sk_buff *skb, struct divert_mark *mark)
{
	struct divert_mark all = { 0 };
	struct sk_buff *part;

	if (skb->napi_id & PART_MARKED) {
		all.port = skb->napi_id;
		all.hook = skb->napi_id >> 16 & 3;
		all.rule = skb->secmark;
	}
	skb_walk_frags(skb, part) {
		if (!(part->napi_id & PART_MARKED) || (u16)part->napi_id != all.port)
			all.port = 0;
		if ((part->napi_id >> 16 & 3) != all.hook || part->secmark != all.rule)
			all.hook = 0;
	}
	if (!all.port)
		all.hook = 0;
	skb->napi_id = 0;
	skb->secmark = 0;
	*mark = all;
}
#else
static void part_write(struct sk_buff *skb, const struct divert_mark *mark)
{
}

static void part_glue(struct sk_buff *skb, struct divert_mark *mark)
{
	*mark = (struct divert_mark){ 0 };
}
#endif

/*
 * F4. Returns 0 when the datagram is whole, and then skb is it; otherwise skb
 * is gone.
 */
int divert_gather(struct net *net, struct sk_buff *skb, u32 user,
		  struct divert_mark *mark)
{
	struct divert_mark whole;
	int err;

	part_write(skb, mark && mark->port ? mark : NULL);
	err = ip_defrag(net, skb, DIVERT_DEFRAG_USER + user);
	if (err)
		return err;
	part_glue(skb, &whole);
	skb->ignore_df = 1;
	/* As from 2.2, it is cut for its next link, not into what it came in. */
	IPCB(skb)->frag_max_size = 0;
	if (mark)
		*mark = whole;
	else if (whole.port)
		divert_mark_copy(skb, &whole);
	return 0;
}

/* One part, which has met its chain, goes on from where its whole was. */
static void pass_on(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct nf_hook_state rest = *state;

	if (divert_resume_behind(skb, &rest) == 1)
		rest.okfn(rest.net, rest.sk, skb);
}

/*
 * The packets that a large segment stands for, or an error. No feature is a card's
 * here, so there is always a list of them; but what comes from a program or another
 * machine (SKB_GSO_DODGY) has its sums in whatever state, of which the kernel warns.
 */
static struct sk_buff *segments_of(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct sk_buff *segs;
	int err;

	/* Its sums are written before it is cut. */
	err = skb_cow_head(skb, 0);
	if (err)
		return ERR_PTR(err);
	if (skb->ip_summed != CHECKSUM_PARTIAL)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	segs = __skb_gso_segment(skb, 0, state->hook != NF_INET_LOCAL_OUT);
	return segs ?: ERR_PTR(-EINVAL);
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

#define DIVERT_WAY_CUT	4

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
	struct divert_flight *before;
	struct sk_buff *copy;
	int err;

	copy = skb_clone(skb, GFP_ATOMIC);
	if (!copy)
		return NF_DROP_ERR(-ENOBUFS);
	if (skb->sk && sk_fullsock(skb->sk))
		skb_set_owner_w(copy, skb->sk);
	copy->ignore_df = skb->ignore_df;
	before = divert_flight_begin(&cut.flight);
	err = ip_do_fragment(state->net, state->sk, copy, cut_output);
	divert_flight_end(before);
	if (err < 0)
		return NF_DROP_ERR(err);
	consume_skb(skb);
	return NF_STOLEN;
}

/*
 * T1: a copy that is looped back to this host waits for another soft interrupt,
 * maybe of another processor. Its mark waits in the end of its control block,
 * behind IP's own part, sealed by a number that nobody else knows.
 */
struct copy_mark {
	u64	seal;
	u32	rule;
	u16	port;
	u8	hook;
} __packed;

#define COPY_MARK(skb)	((struct copy_mark *)((skb)->cb + sizeof((skb)->cb) - 16))

static u64 seal __read_mostly;

void divert_mark_copy(struct sk_buff *skb, const struct divert_mark *mark)
{
	struct copy_mark *copied = COPY_MARK(skb);

	BUILD_BUG_ON(sizeof(*copied) > 16);
	BUILD_BUG_ON(sizeof(struct inet_skb_parm) > sizeof(skb->cb) - 16);
	net_get_random_once(&seal, sizeof(seal));
	copied->seal = seal;
	copied->rule = mark->rule;
	copied->port = mark->port;
	copied->hook = mark->hook;
}

bool divert_mark_take(struct sk_buff *skb, struct divert_mark *mark)
{
	struct copy_mark *copied = COPY_MARK(skb);

	if (likely(copied->seal != READ_ONCE(seal)) || !copied->seal)
		return false;
	mark->rule = copied->rule;
	mark->port = copied->port;
	mark->hook = copied->hook;
	copied->seal = 0;
	return true;
}
