// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways of packets that are injected, or given back and no longer have their own.
 */
#include <linux/icmp.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <net/dst_metadata.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/xfrm.h>

#include "socket.h"

/* What IPsec's policies select by (M10), and routes by more than one way. */
static void flow_ends(struct flowi4 *fl4, const struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);
	__be16 ends[2];

	if (iph->frag_off & htons(IP_OFFSET) ||
	    skb_copy_bits(skb, iph->ihl * 4, ends, sizeof(ends)))
		return;
	if (divert_has_ports(iph->protocol)) {
		fl4->fl4_sport = ends[0];
		fl4->fl4_dport = ends[1];
	} else if (iph->protocol == IPPROTO_ICMP) {
		fl4->fl4_icmp_type = *((const u8 *)ends);
		fl4->fl4_icmp_code = *((const u8 *)ends + 1);
	}
}

/*
 * Of what leaves this host, with IPsec as its policies say for the packet's own source, which
 * may be anybody's (I8), whatever source it is looked up by; sk: whose policies hold before
 * all others, or NULL. The error is ENOBUFS or ENETUNREACH (I6).
 */
struct rtable *divert_route(struct net *net, const struct sk_buff *skb, __be32 saddr, int oif,
			    u8 scope, kuid_t uid, const struct sock *sk)
{
	const struct iphdr *iph = ip_hdr(skb);
	struct flowi4 fl4;
	struct rtable *rt;

	flowi4_init_output(&fl4, oif, skb->mark, divert_route_tos(iph->tos), scope, iph->protocol,
			   FLOWI_FLAG_ANYSRC, iph->daddr, saddr, 0, 0, uid);
	flow_ends(&fl4, skb);
	rt = __ip_route_output_key(net, &fl4);
	if (!IS_ERR(rt) && !(IPCB(skb)->flags & IPSKB_XFRM_TRANSFORMED)) {
		fl4.flowi4_oif = rt->dst.dev->ifindex;
		fl4.saddr = iph->saddr;
		rt = (struct rtable *)xfrm_lookup_route(net, &rt->dst, flowi4_to_flowi(&fl4), sk,
							0);
	}
	return IS_ERR(rt) && PTR_ERR(rt) != -ENOBUFS ? ERR_PTR(-ENETUNREACH) : rt;
}

/*
 * Loopback packets, and multicasts looped back to this host, arrive with the
 * route by which they were sent: looked up as for the wire they would be
 * martians. Find that route again. If the packet was rewritten and is no longer
 * for this host, leave it to the ordinary look-up. A multicast may have come
 * back for the router alone, without a member here.
 */
void divert_route_looped(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	const struct iphdr *iph = ip_hdr(skb);
	int oif = dev->flags & IFF_LOOPBACK ? 0 : dev->ifindex;
	bool ours = __ip_dev_find(net, iph->saddr, false);
	struct rtable *rt;

	rt = divert_route(net, skb, ours ? iph->saddr : 0, oif, RT_SCOPE_UNIVERSE,
			  sock_net_uid(net, NULL), NULL);
	if (IS_ERR(rt))
		return;
	if (rt->rt_flags & (RTCF_LOCAL | RTCF_MULTICAST))
		skb_dst_set(skb, &rt->dst);
	else
		ip_rt_put(rt);
}

/*
 * Of what a program made. The route is looked up with no source, for the packet
 * may have any (I8). IP_MULTICAST_IF tells the interface by index or by address;
 * with either the look-up needs no route to the group (I7).
 */
struct rtable *divert_route_out(struct sock *sk, const struct sk_buff *skb, int flags)
{
	const struct inet_sock *inet = inet_sk(sk);
	int oif = READ_ONCE(sk->sk_bound_dev_if);
	u8 scope = RT_SCOPE_UNIVERSE;
	__be32 saddr = 0;

	if (ipv4_is_multicast(ip_hdr(skb)->daddr)) {
		if (!oif)
			oif = inet->mc_index;
		saddr = inet->mc_addr;
	}
	if (sock_flag(sk, SOCK_LOCALROUTE) || flags & MSG_DONTROUTE)
		scope = RT_SCOPE_LINK;
	return divert_route(sock_net(sk), skb, saddr, oif, scope, divert_uid(sk), sk);
}

/* The route that the packet had, if that holds still. */
bool divert_has_route(struct sk_buff *skb)
{
	if (skb_valid_dst(skb) && dst_check(skb_dst(skb), 0))
		return true;
	skb_dst_drop(skb);
	return false;
}
