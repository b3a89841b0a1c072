// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting packets back: the closing table of SPEC.md.
 *
 * In the call of the program that gives back, synchronously and with bottom
 * halves held off, so that the mark of T1 and T3 is this processor's.
 */
#include <linux/etherdevice.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <linux/netfilter_bridge.h>
#include <linux/rtnetlink.h>
#include <net/dst_metadata.h>
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

/*
 * Loopback packets, and multicasts looped back to this host, arrive with the
 * route by which they were sent: looked up as for the wire they would be
 * martians. Find that route again. If the packet was rewritten and is no longer
 * for this host, leave it to the ordinary look-up. A multicast may have come
 * back for the router alone, without a member here.
 */
static void loop_route(struct net *net, struct sk_buff *skb, struct net_device *dev)
{
	const struct iphdr *iph = ip_hdr(skb);
	int oif = dev->flags & IFF_LOOPBACK ? 0 : dev->ifindex;
	bool ours = __ip_dev_find(net, iph->saddr, false);
	struct rtable *rt;

	rt = divert_route(net, skb, ours ? iph->saddr : 0, oif, RT_SCOPE_UNIVERSE);
	if (IS_ERR(rt))
		return;
	if (rt->rt_flags & (RTCF_LOCAL | RTCF_MULTICAST))
		skb_dst_set(skb, &rt->dst);
	else
		ip_rt_put(rt);
}

/*
 * Input begins behind the taps, which have seen a tagged packet before: at the
 * PRE_ROUTING hook, with what ip_rcv() would have it go on to. Until a first
 * packet has told what that is, it begins at the device.
 */
static int (*input_rest)(struct net *net, struct sock *sk, struct sk_buff *skb);

void divert_learn_input(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	/* Bridges and VRFs call the hook too, and go on to places of their own. */
	if (likely(READ_ONCE(input_rest)) || nf_bridge_info_exists(skb) ||
	    netif_is_l3_master(state->in) || netif_is_l3_slave(state->in))
		return;
	WRITE_ONCE(input_rest, state->okfn);
}

static void receive(struct net *net, struct sk_buff *skb, struct net_device *dev,
		    bool tagged)
{
	int (*rest)(struct net *net, struct sock *sk, struct sk_buff *skb) =
		READ_ONCE(input_rest);
	struct nf_hook_state state;
	int ret;

	if (!rest || netif_is_l3_master(dev) || netif_is_l3_slave(dev)) {
		netif_receive_skb_core(skb);
		return;
	}
	skb_reset_mac_len(skb);
	nf_hook_state_init(&state, NF_INET_PRE_ROUTING, NFPROTO_IPV4, dev, NULL, NULL,
			   net, rest);
	if (tagged)
		ret = divert_resume_at(skb, &state);
	else
		ret = nf_hook(NFPROTO_IPV4, NF_INET_PRE_ROUTING, net, NULL, skb, dev,
			      NULL, rest);
	if (ret == 1)
		rest(net, NULL, skb);
}

/* What becomes of it its sender does not learn, no more than the wire's. */
static int inbound(struct net *net, struct sk_buff *skb, struct net_device *dev,
		   int pkt_type, const struct divert_tag *tag)
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
	if (tag && tag->what & DIVERT_TAG_ROUTED)
		loop_route(net, skb, dev);
	receive(net, skb, dev, tag);
	return 0;
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
		return divert_multicast_output(net, skb, dev);
	if (hook == DIVERT_FORWARD)
		return divert_forward(net, skb, dev);
	if (hook == DIVERT_OUTPUT && tag->what & DIVERT_TAG_FORWARDED)
		return divert_forwarded_output(net, skb, dev);
	if (hook == DIVERT_OUTPUT) {
		flight->way = DIVERT_WAY_OUT;
		return divert_outbound(sk, skb, flags, tag, flight);
	}
	flight->way = DIVERT_WAY_IN;
	return inbound(net, skb, dev,
		       (tag->what & DIVERT_TAG_TYPE) >> DIVERT_TAG_TYPE_SHIFT, tag);
}

static int untagged(struct sock *sk, struct sk_buff *skb, int flags, __be32 addr,
		    struct divert_flight *flight)
{
	struct net *net = sock_net(sk);
	struct net_device *dev;

	flight->way = DIVERT_WAY_OUT;
	if (!addr)
		return divert_outbound(sk, skb, flags, NULL, flight);
	dev = find_device(net, addr);
	flight->way = DIVERT_WAY_IN;
	if (dev && dev->flags & IFF_UP)
		return inbound(net, skb, dev, packet_type(net, ip_hdr(skb)->daddr),
			       NULL);
	kfree_skb(skb);
	return dev ? -ENETDOWN : -EADDRNOTAVAIL;
}

/* Whether this host sends it, as opposed to: receives or forwards it. */
static bool is_sent(__be32 addr, const struct divert_tag *tag)
{
	if (!tag)
		return !addr;
	return (tag->what & DIVERT_TAG_HOOK) == DIVERT_OUTPUT &&
	       !(tag->what & (DIVERT_TAG_FORWARDED | DIVERT_TAG_MROUTE));
}

/* With bottom halves off, on its way; consumes the packet. */
static int send_on(struct sock *sk, struct sk_buff *skb, int flags, __be32 addr,
		   const struct divert_tag *tag)
{
	struct divert_flight flight = {
		.mark.port = ntohs(inet_sk(sk)->inet_sport),	/* T1 */
	};
	struct divert_flight *before = divert_flight_begin(&flight);
	struct held *held;
	int err;

	if (!divert_admits(sock_net(sk))) {		/* M12: no longer */
		kfree_skb(skb);
		divert_flight_end(before);
		return -EPERM;
	}
	if (tag) {
		held = divert_attach(sock_net(sk), skb, tag->what & DIVERT_TAG_HOOK);
		err = reenter(sk, skb, flags, tag, &flight);
		divert_attached(sock_net(sk), held);
	} else {
		err = untagged(sk, skb, flags, addr, &flight);
	}
	divert_flight_end(before);
	return err;
}

/* Returns 0 or a negative error (I6). */
int divert_inject(struct sock *sk, struct msghdr *msg, size_t len, __be32 addr,
		  const struct divert_tag *tag)
{
	struct sk_buff *skb = divert_packet(sk, msg, len, is_sent(addr, tag));
	int err;

	if (IS_ERR(skb))
		return PTR_ERR(skb);
	err = divert_check_right(sk, ip_hdr(skb), addr, &tag);
	if (err) {
		kfree_skb(skb);
		return err;
	}
	/* A tag that turned out to be none. */
	if (is_sent(addr, tag) && !skb->sk)
		skb_set_owner_w(skb, sk);
	local_bh_disable();
	rcu_read_lock();
	err = send_on(sk, skb, msg->msg_flags, addr, tag);
	rcu_read_unlock();
	local_bh_enable();
	return err;
}

/*
 * The same for one that was kept: it becomes what its bytes, sent, would be, but for
 * its route, if it has that still.
 */
int divert_inject_kept(struct sock *sk, struct sk_buff *skb, const struct divert_tag *tag)
{
	struct dst_entry *route;
	int err;

	/* What was queued before the option was set may have no room for the header. */
	if (skb_cow_head(skb, ETH_HLEN)) {
		kfree_skb(skb);
		return -ENOBUFS;
	}
	memset(skb->data - ETH_HLEN, 0, ETH_HLEN);
	skb_orphan(skb);
	route = dst_clone(skb_dst(skb));
	skb_scrub_packet(skb, true);
	skb_clear_hash(skb);
	skb_set_queue_mapping(skb, 0);
	skb->ip_summed = CHECKSUM_NONE;
	skb->encapsulation = 0;
	err = divert_packet_complete(sk, skb);
	if (err) {
		dst_release(route);
		kfree_skb(skb);
		return err;
	}
	skb_dst_set(skb, route);
	if (is_sent(0, tag))
		skb_set_owner_w(skb, sk);
	return send_on(sk, skb, 0, 0, tag);
}
