/* SPDX-License-Identifier: GPL-2.0-only */
/*
 *	Divert sockets: a packet that was taken re-enters the hook that it was
 *	taken from (T3), and goes on through the code behind that hook as what
 *	it was (I2).
 *
 *	Its way is looked up with the keys that it had, unless a program has
 *	changed what routing looks at; then anew, with the keys that it had
 *	otherwise.
 *
 *	Statement numbers (S1, T3, ...) are those of the project's SPEC.md.
 *	Context: see ip_divert_inject.c.
 */

#include <linux/config.h>
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/errno.h>
#include <linux/socket.h>
#include <linux/in.h>
#include <linux/netdevice.h>
#include <linux/inetdevice.h>
#include <linux/icmp.h>
#include <linux/interrupt.h>
#include <linux/mroute.h>
#include <linux/skbuff.h>
#include <net/ip.h>
#include <net/icmp.h>
#include <net/ipip.h>
#include <net/route.h>
#include <net/sock.h>
#include <linux/firewall.h>
#include <net/ip_divert_pending.h>

/*
 *	Ways.
 */

/* As that of what this host sends. */
static int divert_route_output(struct sk_buff *skb, __u32 daddr, __u32 saddr,
			       __u32 tos, int oif)
{
	return divert_way_out(skb, daddr, saddr, tos | RTO_CONN, oif);
}

/* As that of what has come by an interface, with the mark of that look-up. */
static int divert_route_input(const struct divert_pending *p,
			      struct sk_buff *skb, __u32 daddr, __u32 saddr,
			      __u8 tos, struct device *dev)
{
	int err;

#ifdef CONFIG_IP_ROUTE_FWMARK
	skb->fwmark = p->key.fwmark;
#endif
	err = ip_route_input(skb, daddr, saddr, tos, dev);
	skb->fwmark = p->mark;
	return divert_way_errno(err);
}

/* The way that it had. dev: by which it has come, if it has. */
static int divert_route_kept(const struct divert_pending *p,
			     struct sk_buff *skb, struct device *dev)
{
	const struct rt_key *key = &p->key;

	if (key->iif)
		return divert_route_input(p, skb, key->dst, key->src, key->tos,
					  dev);
	return divert_route_output(skb, key->dst, key->src, key->tos, key->oif);
}

/*
 *	By its destination, whosever its source is (I8): only one of this host's
 *	can choose the way, and if it was the way that chose the source, no more
 *	than before. What is for all or for a group keeps its interface.
 */
static int divert_route_by_destination(const struct divert_pending *p,
				       struct sk_buff *skb)
{
	struct iphdr *iph = skb->nh.iph;
	__u32 saddr = ip_dev_find(iph->saddr) ? iph->saddr : 0;
	int oif = p->key.oif;

	if (iph->saddr == p->saddr && !p->key.iif)
		saddr = p->key.src;
	if (MULTICAST(iph->daddr) || iph->daddr == INADDR_BROADCAST)
		oif = p->out;
	return divert_route_output(skb, iph->daddr, saddr, RT_TOS(iph->tos),
				   oif);
}

/*
 *	What is forwarded, and was changed: as come by its interface; but with a
 *	source that is this host's by its destination, and so what was taken on
 *	output and would not be let in like that (I8).
 */
static int divert_route_forwarded(const struct divert_pending *p,
				  struct sk_buff *skb, struct device *dev)
{
	struct iphdr *iph = skb->nh.iph;
	int err;

	if (ip_dev_find(iph->saddr))
		return divert_route_by_destination(p, skb);
	err = divert_route_input(p, skb, iph->daddr, iph->saddr, iph->tos, dev);
	if (p->hook != DIVERT_OUTPUT)
		return err;
	if (!err && ((struct rtable *)skb->dst)->rt_type == RTN_UNICAST)
		return 0;
	if (!err) {
		dst_release(skb->dst);
		skb->dst = NULL;
	}
	return divert_route_by_destination(p, skb);
}

/*
 *	Input.
 */

/* True if what is sent by this route comes back: here, or to multicast routing. */
static int divert_loops_back(const struct rtable *rt)
{
#ifdef CONFIG_IP_MROUTE
	if (rt->u.dst.input == ip_mr_input)
		return 1;
#endif
	return rt->rt_flags & RTCF_LOCAL;
}

/*
 *	Loopback packets, and multicasts looped back to this host, arrive with
 *	the route by which they were sent: looked up as for the wire they would
 *	be martians. Find that route again. If the packet was rewritten and is
 *	no longer for this host, leave it to the ordinary look-up.
 */
static void divert_route_looped(const struct divert_pending *p,
				struct sk_buff *skb, struct device *dev)
{
	struct iphdr *iph = skb->nh.iph;
	__u32 saddr = ip_dev_find(iph->saddr) ? iph->saddr : 0;
	int oif = dev->flags & IFF_LOOPBACK ? 0 : dev->ifindex;
	int err;

	if (divert_is_elsewhere(p, iph))
		err = divert_route_output(skb, iph->daddr, saddr,
					  RT_TOS(iph->tos), oif);
	else
		err = divert_route_kept(p, skb, dev);
	if (!err && !divert_loops_back((struct rtable *)skb->dst)) {
		dst_release(skb->dst);
		skb->dst = NULL;
	}
}

static int divert_input(const struct divert_pending *p, struct sk_buff *skb,
			struct device *dev)
{
	if (p->routed)
		divert_route_looped(p, skb, dev);
	return divert_receive(skb, dev);
}

/*
 *	Forwarding.
 */

/* On to wherever its way leads; as a rule ip_forward(), which does not lower
 * the TTL of such a packet again. */
static int divert_forward(const struct divert_pending *p, struct sk_buff *skb,
			  struct device *dev)
{
	struct rtable *rt;
	int err;

	skb_orphan(skb);
	skb->dev = dev;
	get_fast_time(&skb->stamp);
	if (divert_is_elsewhere(p, skb->nh.iph))
		err = divert_route_forwarded(p, skb, dev);
	else
		err = divert_route_kept(p, skb, dev);
	rt = (struct rtable *)skb->dst;
	if (err)
		kfree_skb(skb);
	else if (rt->key.iif || rt->rt_flags & RTCF_LOCAL)
		rt->u.dst.input(skb);
	else
		ip_forward(skb);
	return 0;
}

static int divert_too_big(struct sk_buff *skb, int encap)
{
	return skb->len + encap > skb->dst->pmtu &&
	       skb->nh.iph->frag_off & htons(IP_DF);
}

/* Taken on output on its way through: the rest of ip_forward(). */
static int divert_forwarded_output(const struct divert_pending *p,
				   struct sk_buff *skb, struct device *dev)
{
	int fw_res;
	int err;

	skb_orphan(skb);
	skb->dev = dev;
	if (divert_is_elsewhere(p, skb->nh.iph))
		err = divert_route_forwarded(p, skb, dev);
	else
		err = divert_route_kept(p, skb, dev);
	if (err)
		goto drop;
	err = -ENETUNREACH;
	if (skb->dst->error)
		goto drop;
	if (((struct rtable *)skb->dst)->key.iif &&
	    skb->dst->input != ip_forward) {
		/* Meanwhile its destination is this host's */
		skb->dst->input(skb);
		return 0;
	}
	skb = skb_cow(skb, skb->dst->dev->hard_header_len);
	if (!skb)
		return -ENOBUFS;

	if (divert_too_big(skb, 0)) {
		ip_statistics.IpFragFails++;
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			  htonl(skb->dst->pmtu));
		err = -EMSGSIZE;
		goto drop;
	}
	fw_res = call_out_firewall(PF_INET, skb->dst->dev, skb->nh.iph, NULL,
				   &skb);
	if (fw_res < FW_ACCEPT) {
		if (fw_res == FW_REJECT)
			icmp_send(skb, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
		err = divert_refused(fw_res);
		goto drop;
	}
	ip_statistics.IpForwDatagrams++;
	ip_send(skb);
	return 0;

drop:
	kfree_skb(skb);
	return err;
}

/*
 *	Multicast routing.
 */

#ifdef CONFIG_IP_MROUTE
/* The way to the link, or to the other end of the tunnel. */
static int divert_route_mroute(const struct divert_pending *p,
			       struct sk_buff *skb)
{
	struct iphdr *iph = skb->nh.iph;
	__u32 daddr = p->way == DIVERT_WAY_MTUNNEL ? p->key.dst : iph->daddr;

	if (!divert_is_elsewhere(p, iph))
		return divert_route_kept(p, skb, NULL);
	return divert_route_output(skb, daddr, p->key.src, RT_TOS(iph->tos),
				   p->key.oif);
}

/* The tunnel, and what it puts round a packet meets. */
static int divert_mroute_tunnel(const struct divert_pending *p,
				struct sk_buff **skb, struct device *dev)
{
	struct net_device_stats *stats = &((struct ip_tunnel *)dev->priv)->stat;
	int fw_res;

	ipmr_encap(*skb, p->key.src, p->key.dst);
	fw_res = call_out_firewall(PF_INET, (*skb)->dst->dev, (*skb)->nh.iph,
				   NULL, skb);
	if (fw_res < FW_ACCEPT)
		return fw_res;
	stats->tx_packets++;
	stats->tx_bytes += (*skb)->len;
	return fw_res;
}

/* Taken in multicast routing: the rest of ipmr_queue_xmit(). */
static int divert_mroute_output(const struct divert_pending *p,
				struct sk_buff *skb, struct device *dev)
{
	int encap = p->way == DIVERT_WAY_MTUNNEL ? sizeof(struct iphdr) : 0;
	struct device *out = dev_get_by_index(p->out);
	int fw_res = FW_ACCEPT;
	int err;

	skb_orphan(skb);
	skb->dev = dev;
	err = out ? divert_route_mroute(p, skb) : -ESTALE;
	if (err)
		goto drop;
	err = -EMSGSIZE;
	if (divert_too_big(skb, encap))
		goto drop;
	skb = skb_cow(skb, skb->dst->dev->hard_header_len + encap);
	if (!skb)
		return -ENOBUFS;

	if (p->hook == DIVERT_FORWARD)
		fw_res = call_fw_firewall(PF_INET, out, skb->nh.iph, NULL,
					  &skb);
	if (fw_res >= FW_ACCEPT)
		fw_res = call_out_firewall(PF_INET, out, skb->nh.iph, NULL,
					   &skb);
	if (fw_res >= FW_ACCEPT && encap)
		fw_res = divert_mroute_tunnel(p, &skb, out);
	if (fw_res < FW_ACCEPT) {
		err = divert_refused(fw_res);
		goto drop;
	}
	IPCB(skb)->flags |= IPSKB_FORWARDED;
	if (skb->len <= skb->dst->pmtu)
		skb->dst->output(skb);
	else
		ip_fragment(skb, skb->dst->output);
	return 0;

drop:
	kfree_skb(skb);
	return err;
}
#else
#define divert_mroute_output(p, skb, dev)	(kfree_skb(skb), -ESTALE)
#endif

/*
 *	This host's own.
 */

static int divert_sent_output(const struct divert_pending *p, struct sock *sk,
			      struct sk_buff *skb)
{
	int err;

	if (divert_is_elsewhere(p, skb->nh.iph))
		err = divert_route_by_destination(p, skb);
	else
		err = divert_route_kept(p, skb, NULL);
	if (err)
		goto drop;
	if (divert_too_big(skb, 0)) {
		/* TCP waits for this: see ip_queue_xmit() */
		start_bh_atomic();
		icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED,
			  htonl(skb->dst->pmtu));
		end_bh_atomic();
		err = -EMSGSIZE;
		goto drop;
	}
	return divert_local_out(sk, skb, skb->dst->pmtu,
				p->way != DIVERT_WAY_SENT_NOLOOP);

drop:
	kfree_skb(skb);
	return err;
}

/*
 *	With bottom halves held off: icmp_send() wants it, and what is behind
 *	input and forwarding is theirs.
 */
static int divert_come_again(const struct divert_pending *p,
			     struct sk_buff *skb)
{
	int told = p->hook == DIVERT_OUTPUT || p->way >= DIVERT_WAY_MROUTE;
	struct device *dev = dev_get_by_index(p->in);

	/* What has passed by its interface's code needs that no more to be up */
	if (!dev || !(dev->flags & IFF_UP || told)) {
		kfree_skb(skb);
		return dev ? -ENETDOWN : -ESTALE;
	}
	if (p->hook == DIVERT_INPUT)
		return divert_input(p, skb, dev);
	if (p->way != DIVERT_WAY_FORWARDED)
		return divert_mroute_output(p, skb, dev);
	if (p->hook == DIVERT_FORWARD)
		return divert_forward(p, skb, dev);
	return divert_forwarded_output(p, skb, dev);
}

int divert_reenter(struct sock *sk, struct sk_buff *skb,
		   const struct divert_pending *p)
{
	int err;

	divert_restore(p, skb);
	if (DIVERT_IS_SENT(p->way))
		return divert_sent_output(p, sk, skb);
	start_bh_atomic();
	err = divert_come_again(p, skb);
	end_bh_atomic();
	return err;
}
