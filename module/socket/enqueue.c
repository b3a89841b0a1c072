// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking a packet: complete (S7), with its tag (S5, S6), it is queued (S9).
 *
 * A copy of it, because TCP rewrites the original when it retransmits, sniffers
 * share its data, and its sender is charged for it until it is freed. What came
 * from a card and is nobody else's is queued itself: to copy it costs as much as
 * all the rest of the taking.
 */
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/netfilter_bridge.h>
#include <linux/rtnetlink.h>
#include <net/dst_metadata.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/sock.h>

#include "socket.h"

static __be32 primary_address(const struct net_device *dev)
{
	struct in_device *in_dev = __in_dev_get_rcu(dev);
	struct in_ifaddr *ifa = in_dev ? rcu_dereference(in_dev->ifa_list) : NULL;

	return ifa ? ifa->ifa_local : 0;
}

/* A reference to who has sent it, if he is there still. */
static struct sock *hold_sender(struct sock *sk)
{
	return sk && refcount_inc_not_zero(&sk->sk_refcnt) ? sk : NULL;
}

/* The keys of the look-up that chose its way out, but for those that are in the packet. */
static void record_sender(struct divert_pending *p, const struct sk_buff *skb,
			  const struct nf_hook_state *state)
{
	const struct sock *sk = state->sk ?: skb->sk;

	if (sk && !sk_fullsock(sk))
		sk = NULL;
	p->uid = sock_net_uid(state->net, sk);
	if (state->hook == NF_INET_FORWARD)
		p->oif = l3mdev_master_ifindex_rcu(state->in);
	if (state->hook != NF_INET_LOCAL_OUT)
		return;
	if (sk)
		p->oif = READ_ONCE(sk->sk_bound_dev_if);
	if (!p->oif)
		p->oif = l3mdev_master_ifindex_rcu(state->out);
	p->owner = hold_sender(skb->sk);
	p->sender = hold_sender(state->sk);
}

static const void *place_of(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return state->hook == NF_INET_PRE_ROUTING && nf_bridge_info_exists(skb) ?
	       DIVERT_PLACE_SPARED : DIVERT_PLACE;
}

/* What the kernel knows of this packet, and its skb does not say. */
static void record(struct divert_pending *p, const struct divert_walk *w,
		   const struct nf_hook_state *state)
{
	const struct sk_buff *skb = w->skb;
	const struct rtable *rt = skb_rtable(skb);

	p->reader = w->sk;
	p->hook = w->hook;
	p->rule = w->rule;
	p->nf_hook = state->hook;
	p->okfn = state->okfn;
	p->place = place_of(skb, state);
	p->in = state->in ? state->in->ifindex : 0;
	p->out = state->out ? state->out->ifindex : 0;
	if (nf_bridge_info_exists(skb))
		p->bridge_in = nf_bridge_get_physinif(skb);
	p->pkt_type = skb->pkt_type;
	p->mark = skb->mark;
	p->priority = skb->priority;
	p->routed = state->hook == NF_INET_PRE_ROUTING && skb_valid_dst(skb);
	p->mroute = state->hook == NF_INET_FORWARD && rt->rt_flags & RTCF_MULTICAST;
	if (w->hook != DIVERT_OUTPUT && state->in)
		p->addr = primary_address(state->in);
	record_sender(p, skb, state);
}

/* What of the packet its route and its connection depend on, as the program sees it. */
static void record_header(struct divert_pending *p, const struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);

	p->saddr = iph->saddr;
	p->daddr = iph->daddr;
	p->tos = iph->tos;
	p->protocol = iph->protocol;
	p->ends = divert_ends(skb);
}

/* What the stack has put off until a card, or nobody, does it. */
static void complete_transport(const struct sk_buff *skb, struct sk_buff *copy)
{
	int start, field;

	if (skb->ip_summed != CHECKSUM_PARTIAL)
		return;
	start = skb_checksum_start_offset(skb) - skb_network_offset(skb);
	field = start + skb->csum_offset;
	if (start < 0 || start >= copy->len || field + 2 > copy->len)
		return;
	copy->ip_summed = CHECKSUM_PARTIAL;
	copy->csum_start = skb_headroom(copy) + start;
	copy->csum_offset = skb->csum_offset;
	copy->csum_not_inet = skb->csum_not_inet;	/* SCTP's CRC */
	skb_csum_hwoffload_help(copy, 0);
	copy->ip_summed = CHECKSUM_NONE;
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
		us = inet_select_addr(rt->dst.dev,
				      rt_nexthop(rt, ip_hdr(skb)->daddr),
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
		return;			/* a raw socket's rubbish */
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
	       !skb_has_shared_frag(skb) && !skb_has_frag_list(skb) &&
	       !skb_is_gso(skb) && !skb_pfmemalloc(skb) &&
	       skb->ip_summed != CHECKSUM_PARTIAL &&
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
	struct sk_buff *copy = skb_copy_expand(skb, min(room, 2U * DIVERT_HEADROOM), 0,
					       GFP_ATOMIC | __GFP_NOWARN);

	if (!copy)
		return NULL;
	skb_set_delivery_time(copy, skb_tstamp(skb), 0);	/* not when TCP wants it sent */
	complete_transport(skb, copy);
	copy->ip_summed = CHECKSUM_NONE;
	whole_header(skb, copy, state);
	return copy;
}

/*
 * The account of a socket that takes and reads on several processors is under one lock. A packet
 * that has left the queue can still be charged: it is pending.
 */
void divert_leave_queue(struct sock *sk, unsigned int memory, unsigned int bytes)
{
	unsigned long flags;

	spin_lock_irqsave(&sk->sk_receive_queue.lock, flags);
	atomic_sub(memory, &sk->sk_rmem_alloc);
	divert_sk(sk)->bytes -= bytes;
	spin_unlock_irqrestore(&sk->sk_receive_queue.lock, flags);
}

void divert_uncharge(struct sock *sk, unsigned int memory)
{
	unsigned long flags;

	spin_lock_irqsave(&sk->sk_receive_queue.lock, flags);
	sk_mem_uncharge(sk, memory);
	spin_unlock_irqrestore(&sk->sk_receive_queue.lock, flags);
}

/* The destructor of a packet in the queue. */
static void unqueued(struct sk_buff *skb)
{
	divert_pending_unqueued(skb->sk, skb);
}

/*
 * S9: a packet is charged the memory that it takes, to the socket and by that to its
 * control group. S8: where nothing is queued or kept there is room for one of any size.
 * ENOBUFS: there is no memory for it; ENOSPC: no room.
 */
static int charge(struct sock *sk, struct sk_buff *skb, struct divert_pending *p)
{
	unsigned int used = atomic_read(&sk->sk_rmem_alloc);
	struct divert_sock *ds = divert_sk(sk);

	p->charge = skb->truesize + sizeof(*p);
	if (ds->closed ||
	    (ds->bytes && used + p->charge > (unsigned int)READ_ONCE(sk->sk_rcvbuf)))
		return -ENOSPC;
	if (!sk_rmem_schedule(sk, skb, p->charge))
		return -ENOBUFS;
	sk_mem_charge(sk, p->charge);
	atomic_add(p->charge, &sk->sk_rmem_alloc);
	ds->bytes += skb->len;
	skb->sk = sk;
	skb->destructor = unqueued;
	return 0;
}

static int try_enqueue(struct sock *sk, struct sk_buff *skb, struct divert_pending *p)
{
	unsigned long flags;
	int err;

	spin_lock_irqsave(&sk->sk_receive_queue.lock, flags);
	err = charge(sk, skb, p);
	if (!err)
		__skb_queue_tail(&sk->sk_receive_queue, skb);
	spin_unlock_irqrestore(&sk->sk_receive_queue.lock, flags);
	return err;
}

/* S9: what has been read and not given back is in nobody's way. */
static bool enqueue(struct sock *sk, struct sk_buff *skb, struct divert_pending *p)
{
	int err;

	do
		err = try_enqueue(sk, skb, p);
	while (err == -ENOBUFS && divert_pending_make_room(sk));
	return !err;
}

/* The packet, as the program will see it; NULL, and it has gone, if there is no memory. */
static struct sk_buff *complete_packet(struct sk_buff *skb, const struct nf_hook_state *state)
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

/* S9, P4: what finds no room is dropped, and it is no error. Consumes the packet. */
void divert_enqueue(struct divert_walk *w, const struct nf_hook_state *state)
{
	struct divert_sock *ds = divert_sk(w->sk);
	struct divert_pending *p = divert_pending_new();
	struct sk_buff *skb = w->skb;

	if (!p) {
		kfree_skb(skb);
		goto dropped;
	}
	record(p, w, state);
	skb = complete_packet(skb, state);
	if (!skb)
		goto put;
	record_header(p, skb);
	DIVERT_CB(skb)->pending = p;
	if (!enqueue(w->sk, skb, p)) {
		kfree_skb(skb);
		goto put;
	}
	atomic_inc(&ds->delivered);
	w->sk->sk_data_ready(w->sk);
	return;

put:
	divert_pending_put(p);
dropped:
	atomic_inc(&ds->dropped);
}
