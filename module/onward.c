// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways on of injected packets: forwarding, multicast routing, output.
 */
#include <linux/icmp.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/xfrm.h>

#include "socket.h"

struct rtable *divert_route(struct net *net, const struct sk_buff *skb,
			    __be32 saddr, int oif, u8 scope)
{
	const struct iphdr *iph = ip_hdr(skb);
	struct flowi4 fl4;

	flowi4_init_output(&fl4, oif, skb->mark, divert_route_tos(iph->tos),
			   scope, iph->protocol, FLOWI_FLAG_ANYSRC,
			   iph->daddr, saddr, 0, 0, sock_net_uid(net, NULL));
	return ip_route_output_key(net, &fl4);
}

static bool too_big(const struct sk_buff *skb)
{
	return skb->len > dst_mtu(skb_dst(skb)) &&
	       ip_hdr(skb)->frag_off & htons(IP_DF);
}

/* Should a queue of the hook hold this, it is emptied before the module goes. */
static int forward_finish(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	return dst_output(net, sk, skb);
}

/* The FORWARD hook, and what ip_forward() does behind it. */
static int through(struct net *net, struct sk_buff *skb, struct net_device *in)
{
	struct nf_hook_state state;
	int err;

	if (too_big(skb)) {
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			  htonl(dst_mtu(skb_dst(skb))));
		kfree_skb(skb);
		return -EMSGSIZE;
	}
	IPCB(skb)->flags |= IPSKB_FORWARDED;
	nf_hook_state_init(&state, NF_INET_FORWARD, NFPROTO_IPV4, in, skb_dst(skb)->dev,
			   NULL, net, forward_finish);
	err = divert_resume_at(skb, &state);
	if (err == 1)
		err = forward_finish(net, NULL, skb);
	return err;
}

/* A kept packet may have its route still, if that holds still. */
static bool has_route(struct sk_buff *skb)
{
	if (skb_dst(skb) && dst_check(skb_dst(skb), 0))
		return true;
	skb_dst_drop(skb);
	return false;
}

/*
 * Taken on forward: looked up anew for the interface that received it, and on
 * to wherever that leads, with IPsec if its policies say so; the TTL has been
 * lowered.
 */
int divert_forward(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	const struct iphdr *iph = ip_hdr(skb);
	bool routed = has_route(skb);

	skb_orphan(skb);
	skb->dev = dev;
	skb->skb_iif = dev->ifindex;
	skb->pkt_type = PACKET_HOST;
	if (!routed && divert_route_input(skb, iph, dev)) {
		kfree_skb(skb);
		return 0;
	}
	IPCB(skb)->flags &= ~IPSKB_DOREDIRECT;
	if (skb_rtable(skb)->rt_type != RTN_UNICAST) {
		dst_input(skb);
		return 0;
	}
	if (!routed && !xfrm4_route_forward(skb)) {
		kfree_skb(skb);
		return 0;
	}
	through(net, skb, dev);
	return 0;
}

/* Taken on output on its way through. */
int divert_forwarded_output(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	struct rtable *rt;
	int err;

	skb_orphan(skb);
	if (!has_route(skb)) {
		rt = divert_route(net, skb, 0, 0, RT_SCOPE_UNIVERSE);
		if (IS_ERR(rt)) {
			kfree_skb(skb);
			return -ENETUNREACH;
		}
		skb_dst_set(skb, &rt->dst);
	}
	skb->dev = dev ?: skb_dst(skb)->dev;
	if (dev)
		skb->skb_iif = dev->ifindex;
	err = through(net, skb, skb->dev);
	return err > 0 ? net_xmit_errno(err) : err;
}

/* Taken in multicast routing: the rest of it, for the same interface. */
int divert_multicast_output(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	struct rtable *rt;
	int err;

	skb_orphan(skb);
	skb->pkt_type = PACKET_MULTICAST;
	rt = divert_route(net, skb, 0, dev->ifindex, RT_SCOPE_UNIVERSE);
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
	u8 scope = RT_SCOPE_UNIVERSE;
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
			scope = RT_SCOPE_LINK;
	}
	return divert_route(sock_net(sk), skb, saddr, oif, scope);
}

/* As ip_local_out(), but for what has seen a tagged packet before. */
static int local_out(struct net *net, struct sock *sk, struct sk_buff *skb, bool tagged)
{
	struct nf_hook_state state;
	int err;

	if (!tagged)
		return ip_local_out(net, sk, skb);
	skb = l3mdev_ip_out(sk, skb);
	if (!skb)
		return 0;
	nf_hook_state_init(&state, NF_INET_LOCAL_OUT, NFPROTO_IPV4, NULL,
			   skb_dst(skb)->dev, sk, net, dst_output);
	err = divert_resume_at(skb, &state);
	return err == 1 ? dst_output(net, sk, skb) : err;
}

int divert_outbound(struct sock *sk, struct sk_buff *skb, int flags,
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

		if (df && tag) {
			/* TCP waits for this, which is a packet of its own. */
			flight->left = true;
			icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
				  htonl(limit));
		}
		err = -EMSGSIZE;
		if (df || (!tag && !divert_defrag(net)))
			goto drop;
	}
	flight->whole = true;
	err = local_out(net, sender, skb, tag);
	return err > 0 ? net_xmit_errno(err) : err;

drop:
	kfree_skb(skb);
	return err;
}
