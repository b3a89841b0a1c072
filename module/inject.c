// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting packets back: the closing table of SPEC.md.
 *
 * In sendmsg() of the program that injects, synchronously and with bottom
 * halves held off, so that the mark of T1 and T3 is this processor's.
 */
#include <linux/etherdevice.h>
#include <linux/icmp.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/dst_metadata.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>

#include "socket.h"

#define DIVERT_HEADROOM	ALIGN(LL_MAX_HEADER, 16)

/*
 * The program's packet, charged to the divert socket, with true computed
 * fields (I5), or an error (I6).
 */
static struct sk_buff *packet(struct sock *sk, struct msghdr *msg, int len)
{
	struct sk_buff *skb;
	struct iphdr *iph;
	int err;

	skb = sock_alloc_send_skb(sk, DIVERT_HEADROOM + len,
				  msg->msg_flags & MSG_DONTWAIT, &err);
	if (!skb)
		return ERR_PTR(err);
	memset(skb->head, 0, DIVERT_HEADROOM);
	skb_reserve(skb, DIVERT_HEADROOM);
	skb_reset_network_header(skb);
	err = memcpy_from_msg(skb_put(skb, len), msg, len);
	if (err)
		goto fail;
	iph = ip_hdr(skb);
	err = -EINVAL;
	if (iph->version != 4 || iph->ihl < 5 || iph->ihl * 4 > len)
		goto fail;

	iph->tot_len = htons(len);
	if (!iph->id && !ip_is_fragment(iph))
		do
			__ip_select_ident(sock_net(sk), iph, 1);
		while (!iph->id);
	ip_send_check(iph);
	skb_set_transport_header(skb, iph->ihl * 4);
	skb->protocol = htons(ETH_P_IP);
	skb->priority = rt_tos2priority(iph->tos);
	skb->mark = READ_ONCE(sk->sk_mark);
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	return skb;

fail:
	kfree_skb(skb);
	return ERR_PTR(err);
}

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

static struct rtable *route(struct net *net, const struct sk_buff *skb,
			    __be32 saddr, int oif, u8 scope)
{
	const struct iphdr *iph = ip_hdr(skb);
	struct flowi4 fl4;

	flowi4_init_output(&fl4, oif, skb->mark, RT_TOS(iph->tos) | scope,
			   RT_SCOPE_UNIVERSE, iph->protocol, FLOWI_FLAG_ANYSRC,
			   iph->daddr, saddr, 0, 0, sock_net_uid(net, NULL));
	return ip_route_output_key(net, &fl4);
}

/*
 * Loopback packets, and multicasts looped back to this host, arrive with the
 * route by which they were sent: looked up as for the wire they would be
 * martians. Find that route again. If the packet was rewritten and is no longer
 * for this host, leave it to the ordinary look-up.
 */
static void loop_route(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	const struct iphdr *iph = ip_hdr(skb);
	int oif = dev->flags & IFF_LOOPBACK ? 0 : dev->ifindex;
	bool ours = __ip_dev_find(net, iph->saddr, false);
	struct rtable *rt;

	rt = route(net, skb, ours ? iph->saddr : 0, oif, 0);
	if (IS_ERR(rt))
		return;
	if (rt->rt_flags & RTCF_LOCAL)
		skb_dst_set(skb, &rt->dst);
	else
		ip_rt_put(rt);
}

/* What becomes of it its sender does not learn, no more than the wire's. */
static int inbound(struct net *net, struct sk_buff *skb, struct net_device *dev,
		   int pkt_type, bool routed)
{
	skb_orphan(skb);
	skb->dev = dev;
	skb->pkt_type = pkt_type;
	skb->skb_iif = dev->ifindex;
	if (dev->hard_header_len && dev->hard_header_len <= skb_headroom(skb))
		skb_set_mac_header(skb, -(int)dev->hard_header_len);
	else
		skb_reset_mac_header(skb);
	if (dev->type == ARPHRD_ETHER)
		eth_hdr(skb)->h_proto = htons(ETH_P_IP);
	if (routed)
		loop_route(net, skb, dev);
	netif_receive_skb_core(skb);
	return 0;
}

static bool too_big(const struct sk_buff *skb)
{
	return skb->len > dst_mtu(skb_dst(skb)) &&
	       ip_hdr(skb)->frag_off & htons(IP_DF);
}

static int forward_finish(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return dst_output(net, sk, skb);
}

/* The FORWARD hook, and what ip_forward() does behind it. */
static int through(struct net *net, struct sk_buff *skb, struct net_device *in)
{
	struct net_device *out = skb_dst(skb)->dev;
	int err;

	if (too_big(skb)) {
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			  htonl(dst_mtu(skb_dst(skb))));
		kfree_skb(skb);
		return -EMSGSIZE;
	}
	IPCB(skb)->flags |= IPSKB_FORWARDED;
	err = nf_hook(NFPROTO_IPV4, NF_INET_FORWARD, net, NULL, skb, in, out,
		      forward_finish);
	if (err == 1)
		err = forward_finish(net, NULL, skb);
	return err;
}

/*
 * Taken on forward: looked up anew for the interface that received it, and on
 * to wherever that leads; the TTL has been lowered.
 */
static int forward(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	const struct iphdr *iph = ip_hdr(skb);

	skb_orphan(skb);
	skb->dev = dev;
	skb->skb_iif = dev->ifindex;
	skb->pkt_type = PACKET_HOST;
	if (ip_route_input_noref(skb, iph->daddr, iph->saddr, iph->tos, dev)) {
		kfree_skb(skb);
		return 0;
	}
	IPCB(skb)->flags &= ~IPSKB_DOREDIRECT;
	if (skb_rtable(skb)->rt_type != RTN_UNICAST) {
		dst_input(skb);
		return 0;
	}
	through(net, skb, dev);
	return 0;
}

/* Taken on output on its way through. */
static int forwarded_output(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	struct rtable *rt;
	int err;

	skb_orphan(skb);
	rt = route(net, skb, 0, 0, 0);
	if (IS_ERR(rt)) {
		kfree_skb(skb);
		return -ENETUNREACH;
	}
	skb_dst_set(skb, &rt->dst);
	skb->dev = dev ?: rt->dst.dev;
	if (dev)
		skb->skb_iif = dev->ifindex;
	err = through(net, skb, skb->dev);
	return err > 0 ? net_xmit_errno(err) : err;
}

/* Taken in multicast routing: the rest of it, for the same interface. */
static int multicast_output(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	struct rtable *rt;
	int err;

	skb_orphan(skb);
	skb->pkt_type = PACKET_MULTICAST;
	rt = route(net, skb, 0, dev->ifindex, 0);
	if (IS_ERR(rt)) {
		kfree_skb(skb);
		return -ENETUNREACH;
	}
	skb_dst_set(skb, &rt->dst);
	skb->dev = dev;
	if (too_big(skb)) {
		kfree_skb(skb);
		return -EMSGSIZE;
	}
	err = through(net, skb, dev);
	return err > 0 ? net_xmit_errno(err) : err;
}

/*
 * Output of this host. The route is looked up with no source, for the packet
 * may have any (I8). IP_MULTICAST_IF tells the interface by index or by address;
 * with either the look-up needs no route to the group (I7). A tagged packet to a
 * group keeps its interface.
 */
static struct rtable *way_out(struct sock *sk, const struct sk_buff *skb, int flags,
			      const struct divert_tag *tag)
{
	const struct inet_sock *inet = inet_sk(sk);
	__be32 daddr = ip_hdr(skb)->daddr;
	__be32 saddr = 0;
	u8 scope = 0;
	int oif = 0;

	if (tag) {
		if (ipv4_is_multicast(daddr) || ipv4_is_lbcast(daddr))
			oif = tag->ifindex;
	} else {
		oif = READ_ONCE(sk->sk_bound_dev_if);
		if (ipv4_is_multicast(daddr)) {
			if (!oif)
				oif = inet->mc_index;
			saddr = inet->mc_addr;
		}
		if (sock_flag(sk, SOCK_LOCALROUTE) || flags & MSG_DONTROUTE)
			scope = RTO_ONLINK;
	}
	return route(sock_net(sk), skb, saddr, oif, scope);
}

static int outbound(struct sock *sk, struct sk_buff *skb, int flags,
		    const struct divert_tag *tag, struct divert_flight *flight)
{
	struct net *net = sock_net(sk);
	struct sock *sender = sk;
	struct rtable *rt;
	unsigned int limit;
	int err;

	rt = way_out(sk, skb, flags, tag);
	if (IS_ERR(rt)) {
		err = PTR_ERR(rt) == -ENOBUFS ? -ENOBUFS : -ENETUNREACH;
		goto drop;
	}
	skb_dst_set(skb, &rt->dst);
	skb->dev = rt->dst.dev;
	limit = READ_ONCE(rt->dst.dev->mtu);	/* F3, as for hdrincl */
	if (tag) {
		limit = dst_mtu(&rt->dst);	/* as for a local sender */
		sender = tag->what & DIVERT_TAG_NOLOOP ?
			 divert_ports(net)->noloop : NULL;
	}
	if (skb->len > limit) {
		bool df = ip_hdr(skb)->frag_off & htons(IP_DF);

		if (df && tag)		/* TCP waits for this */
			icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
				  htonl(limit));
		err = -EMSGSIZE;
		if (df || (!tag && !divert_defrag(net)))
			goto drop;
	}
	flight->whole = true;
	err = ip_local_out(net, sender, skb);
	return err > 0 ? net_xmit_errno(err) : err;

drop:
	kfree_skb(skb);
	return err;
}

/* A packet was tagged: it re-enters the hook that it was taken from (T3). */
static int reenter(struct sock *sk, struct sk_buff *skb, int flags,
		   const struct divert_tag *tag, struct divert_flight *flight)
{
	struct net *net = sock_net(sk);
	int hook = tag->what & DIVERT_TAG_HOOK;
	bool mroute = tag->what & DIVERT_TAG_MROUTE;
	struct net_device *dev;

	flight->mark.hook = hook;
	flight->mark.rule = tag->rule;
	dev = dev_get_by_index_rcu(net, tag->ifindex);
	if (hook != DIVERT_OUTPUT || mroute) {
		if (!dev || !(dev->flags & IFF_UP)) {
			kfree_skb(skb);
			return -ENETDOWN;
		}
	}
	flight->way = DIVERT_WAY_FORWARD;
	if (mroute && hook != DIVERT_INPUT)
		return multicast_output(net, skb, dev);
	if (hook == DIVERT_FORWARD)
		return forward(net, skb, dev);
	if (hook == DIVERT_OUTPUT && tag->what & DIVERT_TAG_FORWARDED)
		return forwarded_output(net, skb, dev);
	if (hook == DIVERT_OUTPUT) {
		flight->way = DIVERT_WAY_OUT;
		return outbound(sk, skb, flags, tag, flight);
	}
	flight->way = DIVERT_WAY_IN;
	return inbound(net, skb, dev,
		       (tag->what & DIVERT_TAG_TYPE) >> DIVERT_TAG_TYPE_SHIFT,
		       tag->what & DIVERT_TAG_ROUTED);
}

static int untagged(struct sock *sk, struct sk_buff *skb, int flags, __be32 addr,
		    struct divert_flight *flight)
{
	struct net *net = sock_net(sk);
	struct net_device *dev;

	flight->way = DIVERT_WAY_OUT;
	if (!addr)
		return outbound(sk, skb, flags, NULL, flight);
	dev = find_device(net, addr);
	flight->way = DIVERT_WAY_IN;
	if (dev && dev->flags & IFF_UP)
		return inbound(net, skb, dev, packet_type(net, ip_hdr(skb)->daddr),
			       false);
	kfree_skb(skb);
	return dev ? -ENETDOWN : -EADDRNOTAVAIL;
}

/* Returns 0 or a negative error (I6). */
int divert_inject(struct sock *sk, struct msghdr *msg, size_t len, __be32 addr,
		  const struct divert_tag *tag)
{
	struct divert_flight flight = {
		.mark.port = ntohs(inet_sk(sk)->inet_sport),	/* T1 */
	};
	struct divert_flight *before;
	struct sk_buff *skb;
	int err;

	skb = packet(sk, msg, len);
	if (IS_ERR(skb))
		return PTR_ERR(skb);
	local_bh_disable();
	rcu_read_lock();
	before = divert_flight_begin(&flight);
	if (tag)
		err = reenter(sk, skb, msg->msg_flags, tag, &flight);
	else
		err = untagged(sk, skb, msg->msg_flags, addr, &flight);
	divert_flight_end(before);
	rcu_read_unlock();
	local_bh_enable();
	return err;
}
