// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking a packet: with what the kernel knows of it, and with its address (S5), it is queued (S9).
 */
#include <linux/filter.h>
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

/*
 * Whether the packet's source was a key of the look-up: where nobody has named it, that has none,
 * and chooses it. Who is bound, or connected, has named it, and so has the kernel itself; who sends
 * a datagram may have for this one alone (IP_PKTINFO), whatever source its header has.
 */
static enum divert_source source_of(const struct sock *sk)
{
	if (!sk || sk->sk_kern_sock || inet_sk(sk)->inet_saddr ||
	    (sk->sk_type != SOCK_DGRAM && sk->sk_type != SOCK_RAW))
		return SOURCE_IS_KEY;
	return sk->sk_prot == &divert_prot || (sk->sk_type == SOCK_RAW && divert_has_header(sk)) ?
		       SOURCE_OF_HEADER :
		       SOURCE_MAY_BE_KEY;
}

/*
 * The keys of the look-up that chose its way out, but for those that are in the packet. A tunnel's
 * outer packet has no sender: that of the inner one, whose it still is, has chosen no way for it.
 */
static void record_sender(struct divert_pending *p, const struct sk_buff *skb,
			  const struct nf_hook_state *state)
{
	const struct sock *sk = state->sk;

	if (sk && !sk_fullsock(sk))
		sk = NULL;
	p->uid = sk ? divert_uid(sk) : INVALID_UID;
	if (state->hook == NF_INET_FORWARD)
		p->oif = l3mdev_master_ifindex_rcu(state->in);
	if (state->hook != NF_INET_LOCAL_OUT)
		return;
	p->source = source_of(sk);
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
		       DIVERT_PLACE_SPARED :
		       DIVERT_PLACE;
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

/*
 * What a queue has becomes more under its lock, and less at any time: who looks whether there is
 * room may just not see it yet. A packet that has left the queue can still be charged: it is
 * pending.
 */
void divert_leave_queue(struct sock *sk, unsigned int memory, unsigned int bytes)
{
	atomic_sub(memory, &sk->sk_rmem_alloc);
	atomic_sub(bytes, &divert_sk(sk)->bytes);
}

/* The memory of a socket that takes and reads on several processors is under one lock. */
void divert_uncharge(struct sock *sk, unsigned int memory)
{
	spin_lock(&sk->sk_receive_queue.lock);
	sk_mem_uncharge(sk, memory);
	spin_unlock(&sk->sk_receive_queue.lock);
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
	    (atomic_read(&ds->bytes) && used + p->charge > (unsigned int)READ_ONCE(sk->sk_rcvbuf)))
		return -ENOSPC;
	if (!sk_rmem_schedule(sk, skb, p->charge))
		return -ENOBUFS;
	sk_mem_charge(sk, p->charge);
	atomic_add(p->charge, &sk->sk_rmem_alloc);
	atomic_add(skb->len, &ds->bytes);
	skb->sk = sk;
	skb->destructor = unqueued;
	return 0;
}

static int try_enqueue(struct sock *sk, struct sk_buff *skb, struct divert_pending *p)
{
	int err;

	spin_lock(&sk->sk_receive_queue.lock);
	err = charge(sk, skb, p);
	if (!err)
		__skb_queue_tail(&sk->sk_receive_queue, skb);
	spin_unlock(&sk->sk_receive_queue.lock);
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

/* S9, P4: what finds no room is dropped, and it is no error. Consumes the packet. */
void divert_enqueue(struct divert_walk *w, const struct nf_hook_state *state)
{
	struct divert_sock *ds = divert_sk(w->sk);
	struct divert_pending *p = divert_pending_new();
	struct sk_buff *skb = w->skb;
	bool tracked;

	if (!p) {
		kfree_skb(skb);
		goto dropped;
	}
	record(p, w, state);
	skb = divert_complete(skb, state);
	if (!skb)
		goto put;
	/* S11: what a filter of the socket's refuses is taken. It cuts none: S7. */
	if (sk_filter_trim_cap(w->sk, skb, skb->len)) {
		kfree_skb(skb);
		divert_pending_put(p);
		return;
	}
	record_header(p, skb);
	DIVERT_CB(skb)->pending = p;
	tracked = skb_get_nfct(skb);
	if (!enqueue(w->sk, skb, p)) {
		kfree_skb(skb);
		goto put;
	}
	/* A program may have it by now. */
	if (tracked)
		divert_pending_watch(ds->ports);
	atomic_inc(&ds->delivered);
	w->sk->sk_data_ready(w->sk);
	return;

put:
	divert_pending_put(p);
dropped:
	atomic_inc(&ds->dropped);
}
