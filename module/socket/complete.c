// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packet that a program will see: complete (S7).
 *
 * A copy, because TCP rewrites the original when it retransmits, sniffers share its data, and its
 * sender is charged for it until it is freed. What came from a card and is nobody else's is
 * queued itself: to copy it costs as much as all the rest of the taking.
 */
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>

#include "socket.h"

/* What the stack has put off until a card, or nobody, does it; skb_copy_expand() says where. */
static void complete_transport(struct sk_buff *copy)
{
	int start, field;

	if (copy->ip_summed != CHECKSUM_PARTIAL)
		return;
	start = skb_checksum_start_offset(copy);
	field = start + copy->csum_offset;
	if (start < 0 || start >= copy->len || field + 2 > copy->len)
		return;
	skb_csum_hwoffload_help(copy, 0); /* SCTP's CRC, too */
}

/* A router's own entry in the options, which it makes behind its chains. */
static void complete_options(const struct sk_buff *skb, struct sk_buff *copy)
{
	const struct ip_options *opt = &IPCB(skb)->opt;
	const struct rtable *rt = skb_rtable(skb);
	u8 *raw = copy->data;
	__be32 us;

	if (!opt->optlen)
		return;
	/* As ip_rt_get_source(): to a group, routed as if sent, its own source. */
	if (rt_is_output_route(rt))
		us = ip_hdr(skb)->saddr;
	else
		us = inet_select_addr(rt->dst.dev, rt_nexthop(rt, ip_hdr(skb)->daddr),
				      RT_SCOPE_UNIVERSE);
	if (opt->rr_needaddr)
		memcpy(raw + opt->rr + raw[opt->rr + 2] - 5, &us, 4);
	if (opt->srr_is_hit) {
		u8 *srr = raw + opt->srr;

		/* Otherwise a timestamp keeps the address it got on arrival. */
		if (opt->ts_needaddr)
			memcpy(raw + opt->ts + raw[opt->ts + 2] - 9, &us, 4);
		if (srr[2] + 3 <= srr[1] + 0) {
			memcpy(&ip_hdr(copy)->daddr, srr + srr[2] - 1, 4);
			memcpy(srr + srr[2] - 1, &us, 4);
			srr[2] += 4;
		}
	}
}

static void whole_header(const struct sk_buff *skb, struct sk_buff *copy,
			 const struct nf_hook_state *state)
{
	struct iphdr *iph = ip_hdr(copy);

	if (iph->ihl < 5 || iph->ihl * 4 > copy->len)
		return; /* a raw socket's rubbish */
	if (state->hook == NF_INET_FORWARD)
		complete_options(skb, copy);
	if (skb_is_gso(skb))
		iph->tot_len = htons(skb->len);
	ip_send_check(iph);
}

/*
 * Nobody else reads, writes or is charged for this packet or a part of it, and it
 * takes no more memory than two copies would.
 */
static bool is_ours(struct sk_buff *skb, const struct nf_hook_state *state)
{
	return state->hook != NF_INET_LOCAL_OUT && !skb->sk && !skb->destructor &&
	       !skb_shared(skb) && !skb_cloned(skb) && !skb_zcopy(skb) &&
	       !skb_has_shared_frag(skb) && !skb_has_frag_list(skb) && !skb_is_gso(skb) &&
	       !skb_pfmemalloc(skb) && skb->ip_summed != CHECKSUM_PARTIAL &&
	       skb->truesize <= 2 * SKB_TRUESIZE(skb->len);
}

/* Until it goes on it has no interface, but its route and all else. */
static void detach(struct sk_buff *skb)
{
	skb_dst_force(skb);
	skb->dev = NULL;
}

static struct sk_buff *complete_copy(struct sk_buff *skb, const struct nf_hook_state *state)
{
	unsigned int room = max_t(unsigned int, DIVERT_HEADROOM, skb_headroom(skb));
	struct sk_buff *copy =
		skb_copy_expand(skb, min(room, 2U * DIVERT_HEADROOM), 0, GFP_ATOMIC | __GFP_NOWARN);

	if (!copy)
		return NULL;
	skb_set_delivery_time(copy, skb_tstamp(skb), 0); /* not when TCP wants it sent */
	complete_transport(copy);
	copy->ip_summed = CHECKSUM_NONE;
	whole_header(skb, copy, state);
	return copy;
}

/* The packet, as the program will see it; NULL, and it has gone, if there is no memory. */
struct sk_buff *divert_complete(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct sk_buff *copy = skb;

	if (is_ours(skb, state)) {
		whole_header(skb, skb, state);
	} else {
		copy = complete_copy(skb, state);
		consume_skb(skb);
	}
	if (copy)
		detach(copy);
	return copy;
}
