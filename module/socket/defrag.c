// SPDX-License-Identifier: GPL-2.0-only
/*
 * Datagrams and their parts: always-defragment (F4), and this host's datagrams that are cut
 * before the chain without it.
 */
#include <linux/netdevice.h>
#include <net/ip.h>
#include <net/route.h>

#include "socket.h"

/* Datagrams that nobody else puts together. */
#define DIVERT_DEFRAG_USER 0x64760000

/* divert_gather(), of a part of a datagram. */
int divert_gather_part(struct net *net, struct sk_buff *skb, struct divert_mark *mark)
{
	const struct divert_mark *part = mark && mark->port ? mark : NULL;
	struct divert_mark whole;
	int err;

	if (!divert_defrag(net)) {
		if (divert_conntrack_gathers(net))
			divert_part_note(net, skb, DIVERT_BY_CONNTRACK, part);
		return 0;
	}
	divert_part_note(net, skb, DIVERT_DEFRAG_USER, part);
	err = ip_defrag(net, skb, DIVERT_DEFRAG_USER);
	if (err)
		return err;
	divert_part_whole(net, skb, DIVERT_DEFRAG_USER, &whole);
	if (mark)
		*mark = whole;
	skb->ignore_df = 1;
	/* As from 2.2, it is cut for its next link, not into what it came in. */
	IPCB(skb)->frag_max_size = 0;
	return 0;
}

/* The part of a datagram that was cut, on its way through the chain. */
struct cut {
	struct divert_inject_ctx ctx;
	const struct nf_hook_state *state;
};

static int cut_output(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	struct divert_inject_ctx *ctx = divert_inject_now();
	struct cut *cut = container_of(ctx, struct cut, ctx);
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
	struct cut cut = { .ctx.way = DIVERT_WAY_CUT, .state = state };
	struct sk_buff *copy;
	int err;

	copy = skb_clone(skb, GFP_ATOMIC);
	if (!copy)
		return NF_DROP_ERR(-ENOBUFS);
	if (skb->sk && sk_fullsock(skb->sk))
		skb_set_owner_w(copy, skb->sk);
	copy->ignore_df = skb->ignore_df;
	divert_inject_begin(&cut.ctx);
	err = ip_do_fragment(state->net, state->sk, copy, cut_output);
	divert_inject_end(&cut.ctx);
	if (err < 0)
		return NF_DROP_ERR(err);
	consume_skb(skb);
	return NF_STOLEN;
}
