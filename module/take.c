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
#include <linux/rtnetlink.h>
#include <net/dst_metadata.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>

#include "socket.h"

static __be32 primary_address(const struct net_device *dev)
{
	struct in_device *in_dev = __in_dev_get_rcu(dev);
	struct in_ifaddr *ifa = in_dev ? rcu_dereference(in_dev->ifa_list) : NULL;

	return ifa ? ifa->ifa_local : 0;
}

/* Through a tunnel even a packet socket's comes here, which has no such option. */
static bool sends_no_copy(const struct sock *sk)
{
	return sk && sk_fullsock(sk) &&
	       (sk->sk_family == AF_INET || sk->sk_family == AF_INET6) &&
	       !divert_mc_loop(sk);
}

/* Says in the tag, and in sin_addr (S5), where this packet is taken. */
static void describe(const struct divert_walk *w,
		     const struct nf_hook_state *state, struct sockaddr_in *sin)
{
	const struct sk_buff *skb = w->skb;
	const struct rtable *rt = skb_rtable(skb);
	const struct net_device *dev = state->in;
	struct divert_tag tag = { .rule = w->rule, .what = w->hook };

	if (state->hook == NF_INET_PRE_ROUTING) {
		tag.what |= skb->pkt_type << DIVERT_TAG_TYPE_SHIFT;
		if (skb_valid_dst(skb))
			tag.what |= DIVERT_TAG_ROUTED;
	} else if (state->hook == NF_INET_FORWARD) {
		if (rt->rt_flags & RTCF_MULTICAST) {
			tag.what |= DIVERT_TAG_MROUTE;
			/* Its destination does not tell the interface. */
			dev = state->out;
		} else if (w->hook == DIVERT_OUTPUT) {
			tag.what |= DIVERT_TAG_FORWARDED;
		}
	} else {
		dev = state->out;
		if (sends_no_copy(skb->sk))
			tag.what |= DIVERT_TAG_NOLOOP;
	}

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	if (w->hook != DIVERT_OUTPUT && state->in)
		sin->sin_addr.s_addr = primary_address(state->in);
	tag.ifindex = dev ? dev->ifindex : 0;
	if (w->hook == DIVERT_INPUT && !divert_sk(w->sk)->admin)
		tag.what |= DIVERT_TAG_BOUND;
	divert_tag_write(sin, &tag, ip_hdr(skb));
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

/*
 * A kept packet on its way through this host can go on by the route that it has.
 * Its options may have led it to another one than its destination would.
 */
static bool keeps_route(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return state->hook == NF_INET_FORWARD && !IPCB(skb)->opt.optlen &&
	       !(skb_rtable(skb)->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST));
}

/* Lets go of all that a queued packet must not hold, or show. */
static void detach(struct sk_buff *skb, bool with_route)
{
	if (with_route)
		skb_dst_force(skb);
	else
		skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	skb->dev = NULL;
}

/* In front there is room for a card's header only if the copy itself may be sent. */
static struct sk_buff *complete_copy(struct sk_buff *skb,
				     const struct nf_hook_state *state, bool keep)
{
	unsigned int room = keep ? DIVERT_HEADROOM : 0;
	struct sk_buff *copy = alloc_skb(room + skb->len, GFP_ATOMIC | __GFP_NOWARN);

	if (!copy)
		return NULL;
	memset(copy->head, 0, room);
	skb_reserve(copy, room);
	skb_copy_bits(skb, 0, skb_put(copy, skb->len), skb->len);
	skb_reset_network_header(copy);
	copy->tstamp = skb_tstamp(skb);		/* not when TCP wants it sent */
	complete_transport(skb, copy);
	whole_header(skb, copy, state);
	return copy;
}

/* The account of a socket that takes and reads on several processors is under one lock. */
static void give_memory_back(struct sock *sk, unsigned int memory, unsigned int bytes)
{
	atomic_sub(memory, &sk->sk_rmem_alloc);
	sk_mem_uncharge(sk, memory);
	divert_sk(sk)->bytes -= bytes;
}

/* Undoes the charge when a packet has been read, or its queue is purged. */
static void uncharge(struct sk_buff *skb)
{
	spinlock_t *lock = &skb->sk->sk_receive_queue.lock;
	unsigned long flags;

	spin_lock_irqsave(lock, flags);
	give_memory_back(skb->sk, skb->truesize, skb->len);
	spin_unlock_irqrestore(lock, flags);
}

/* The same for many that were read; bottom halves may be on. */
void divert_uncharge(struct divert_sock *ds, struct sk_buff_head *taken)
{
	struct sock *sk = &ds->inet.sk;
	unsigned int memory = 0, bytes = 0;
	struct sk_buff *skb;

	skb_queue_walk(taken, skb) {
		memory += skb->truesize;
		bytes += skb->len;
		skb->destructor = NULL;
		skb->sk = NULL;
	}
	spin_lock_bh(&sk->sk_receive_queue.lock);
	give_memory_back(sk, memory, bytes);
	spin_unlock_bh(&sk->sk_receive_queue.lock);
}

/*
 * S9: a packet is charged the memory that it takes, to the socket and by that to its
 * control group. S8: where nothing is queued or kept there is room for one of any size.
 */
static bool charge(struct sock *sk, struct sk_buff *skb)
{
	unsigned int used = atomic_read(&sk->sk_rmem_alloc);
	struct divert_sock *ds = divert_sk(sk);

	if (ds->closed ||
	    (ds->bytes && used + skb->truesize > (unsigned int)READ_ONCE(sk->sk_rcvbuf)) ||
	    !sk_rmem_schedule(sk, skb, skb->truesize))
		return false;
	sk_mem_charge(sk, skb->truesize);
	atomic_add(skb->truesize, &sk->sk_rmem_alloc);
	ds->bytes += skb->len;
	skb->sk = sk;
	skb->destructor = uncharge;
	return true;
}

static bool enqueue(struct sock *sk, struct sk_buff *copy)
{
	unsigned long flags;
	bool fits;

	spin_lock_irqsave(&sk->sk_receive_queue.lock, flags);
	fits = charge(sk, copy);
	if (fits)
		__skb_queue_tail(&sk->sk_receive_queue, copy);
	spin_unlock_irqrestore(&sk->sk_receive_queue.lock, flags);
	return fits;
}

/* S9, P4: what finds no room is dropped, and it is no error. Consumes the packet. */
void divert_take(struct divert_walk *w, const struct nf_hook_state *state)
{
	struct divert_sock *ds = divert_sk(w->sk);
	struct sk_buff *skb = w->skb, *copy = skb;
	bool keep = READ_ONCE(ds->keep);
	struct sockaddr_in sin;

	divert_hold(w->net, skb, w->hook);
	describe(w, state, &sin);
	if (is_ours(skb, state)) {
		whole_header(skb, skb, state);
		detach(skb, keep && keeps_route(skb, state));
	} else {
		copy = complete_copy(skb, state, keep);
		consume_skb(skb);
	}
	if (copy)
		DIVERT_CB(copy)->sin = sin;
	if (!copy || !enqueue(w->sk, copy)) {
		kfree_skb(copy);
		atomic_inc(&ds->dropped);
		return;
	}
	atomic_inc(&ds->delivered);
	w->sk->sk_data_ready(w->sk);
}
