// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting packets back: the closing table of SPEC.md. In the call of the program that does it, with
 * bottom halves off.
 */
#include <linux/etherdevice.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>

#include "socket.h"

/* The interface that has this address; one that is up, if there are two. */
static struct net_device *find_device(struct net *net, __be32 addr)
{
	struct net_device *dev, *found = NULL;
	struct in_device *in_dev;
	struct in_ifaddr *ifa;

	for_each_netdev_rcu(net, dev) {
		in_dev = __in_dev_get_rcu(dev);
		if (!in_dev)
			continue;
		in_dev_for_each_ifa_rcu(ifa, in_dev) {
			if (ifa->ifa_local != addr)
				continue;
			if (dev->flags & IFF_UP)
				return dev;
			found = dev;
		}
	}
	return found;
}

/* I3: the class that the link layer would have told for this destination. */
static int packet_type(struct net *net, __be32 daddr)
{
	if (ipv4_is_multicast(daddr))
		return PACKET_MULTICAST;
	if (inet_addr_type(net, daddr) == RTN_BROADCAST)
		return PACKET_BROADCAST;
	return PACKET_HOST;
}

/* The class of its link layer, as its driver would have told. */
static void receive_from(struct sk_buff *skb, struct net_device *dev)
{
	skb_orphan(skb);
	skb->dev = dev;
	skb->pkt_type = packet_type(dev_net(dev), ip_hdr(skb)->daddr);
	skb->skb_iif = dev->ifindex;
	if (dev->hard_header_len && dev->hard_header_len <= skb_headroom(skb))
		skb_set_mac_header(skb, -(int)dev->hard_header_len);
	else
		skb_reset_mac_header(skb);
	if (dev->type == ARPHRD_ETHER)
		eth_hdr(skb)->h_proto = htons(ETH_P_IP);
}

/* F3: what this host sends is measured by its interface, as by hdrincl. */
static int send_out(struct sock *sk, struct sk_buff *skb, int flags, struct divert_inject_ctx *ctx)
{
	struct rtable *rt = divert_route_out(sk, skb, flags);
	int err;

	if (IS_ERR(rt)) {
		err = PTR_ERR(rt);
		goto drop;
	}
	skb_dst_set(skb, &rt->dst);
	skb->dev = rt->dst.dev;
	err = -EMSGSIZE;
	if (skb->len > READ_ONCE(rt->dst.dev->mtu) &&
	    (ip_hdr(skb)->frag_off & htons(IP_DF) || !divert_defrag(sock_net(sk))))
		goto drop;
	ctx->whole = true;
	ctx->skb = skb;
	err = ip_local_out(sock_net(sk), sk, skb);
	return err > 0 ? net_xmit_errno(err) : err;

drop:
	kfree_skb(skb);
	return err;
}

/* M12: as received is for those who administrate the network. */
static int untagged(struct sock *sk, struct sk_buff *skb, int flags, __be32 addr,
		    struct divert_inject_ctx *ctx)
{
	struct net_device *dev;
	int err;

	if (!addr) {
		ctx->way = DIVERT_WAY_OUT;
		return send_out(sk, skb, flags, ctx);
	}
	ctx->way = DIVERT_WAY_IN;
	dev = find_device(sock_net(sk), addr);
	err = !divert_sk(sk)->admin  ? -EPERM :
	      !dev                   ? -EADDRNOTAVAIL :
	      !(dev->flags & IFF_UP) ? -ENETDOWN :
				       0;
	if (err) {
		kfree_skb(skb);
		return err;
	}
	receive_from(skb, dev);
	netif_receive_skb_core(skb);
	return 0;
}

/* What the program made. Returns 0 or a negative error (I6). */
int divert_inject(struct sock *sk, struct msghdr *msg, size_t len, __be32 addr)
{
	struct divert_inject_ctx ctx = { .mark.port = ntohs(inet_sk(sk)->inet_sport) };
	struct sk_buff *skb;
	int err;

	if (!divert_admits(sock_net(sk))) /* M12: no longer */
		return -EPERM;
	skb = divert_packet(sk, msg, len, !addr);
	if (IS_ERR(skb))
		return PTR_ERR(skb);
	local_bh_disable();
	rcu_read_lock();
	divert_inject_begin(&ctx);
	err = untagged(sk, skb, msg->msg_flags, addr, &ctx);
	divert_inject_end(&ctx);
	rcu_read_unlock();
	local_bh_enable();
	return err;
}

/* A stub says less than a packet: it is the program's own, with what is left of the other one. */
static struct sk_buff *of_stub(struct sock *sk, const struct divert_pending *p, struct msghdr *msg,
			       size_t len)
{
	bool sent = p->nf_hook == NF_INET_LOCAL_OUT;
	struct sk_buff *skb = divert_packet(sk, msg, len, sent);

	if (IS_ERR(skb))
		return skb;
	skb->pkt_type = p->pkt_type;
	skb->mark = p->mark;
	skb->priority = p->priority;
	IPCB(skb)->iif = p->in;
	skb->skb_iif = p->in;
	if (p->nf_hook == NF_INET_FORWARD)
		IPCB(skb)->flags |= IPSKB_FORWARDED;
	return skb;
}

/* M12: as received, from or to elsewhere than what was taken. */
static bool may(const struct sock *sk, const struct sk_buff *skb, const struct divert_pending *p)
{
	return p->hook != DIVERT_INPUT || divert_sk(sk)->admin ||
	       (ip_hdr(skb)->saddr == p->saddr && ip_hdr(skb)->daddr == p->daddr);
}

/* As divert_reenter(). */
int divert_inject_again(struct sock *sk, struct sk_buff *skb, const struct divert_pending *p,
			enum divert_bytes bytes)
{
	if (unlikely(!divert_admits(sock_net(sk)) || !may(sk, skb, p))) {
		if (bytes == DIVERT_AS_TAKEN)
			kfree_skb(skb);
		return -EPERM;
	}
	return divert_reenter(sk, skb, p, bytes);
}

/* A packet is given back: p is claimed, and skb what it was, or NULL of a stub. */
int divert_give_back(struct sock *sk, struct msghdr *msg, size_t len, struct divert_pending *p,
		     struct sk_buff *skb)
{
	bool whole = skb;
	struct sk_buff *sent;
	int err;

	if (whole) {
		sent = divert_packet_own(skb, sk->sk_allocation);
		if (sent) {
			skb = sent;
			skb->priority = p->priority; /* another send may have failed */
		}
		err = sent ? divert_packet_replace(sk, skb, msg, len) : -ENOBUFS;
	} else {
		sent = of_stub(sk, p, msg, len);
		err = PTR_ERR_OR_ZERO(sent);
	}
	local_bh_disable();
	if (!err) {
		rcu_read_lock();
		err = divert_inject_again(sk, sent, p, whole ? DIVERT_REPLACED : DIVERT_OF_STUB);
		rcu_read_unlock();
	}
	if (err && !whole && !IS_ERR(sent))
		kfree_skb(sent);
	divert_pending_settle(sk, p, err ? skb : NULL, whole);
	local_bh_enable();
	return err;
}
