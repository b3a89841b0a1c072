// SPDX-License-Identifier: GPL-2.0-only
/*
 * F5: with always-defragment a packet of a raw socket with IP_HDRINCL may exceed
 * the interface's MTU, and is cut on its way out. raw_sendmsg() refuses it: it measures
 * the packet by its route's device before it calls anybody else, be it a hook, the route's
 * output, or the device. So sockets of IPPROTO_RAW that are opened while a network namespace has
 * that option have a copy of raw_prot in which sendmsg is ours; everything but a large packet
 * is left to raw_sendmsg().
 *
 * A copy, as tcp_bpf.c, udp_bpf.c and TLS make of other protocols': slab, hash table and counters
 * stay raw_prot's. That has no name for modules; any socket of its kind leads to it.
 *
 * Such a socket holds the module, whoever has it, for its sk_prot is here (M6). So the copy is
 * only there as long as somebody has use for it. Other ways were looked at:
 *
 *	- To give raw_prot back to them when the module goes. raw_v4_hashinfo finds them, but
 *	  not who is in socket() still, nor who has read sk_prot and is on his way to our
 *	  function; to wait for these, a module would have to give up the reference to itself
 *	  that sk_alloc() takes, from its own code.
 *	- A module of its own for this function: that one is held then, and left behind.
 *	- Routes by a device with a larger MTU: everybody sees those, and rules and IPsec's
 *	  policies go by them.
 *	- Kprobes or ftrace on raw_sendmsg(): a kernel need not have them.
 */
#include <linux/inetdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/rtnetlink.h>
#include <net/ip.h>
#include <net/protocol.h>
#include <net/route.h>
#include <net/sock.h>

#include "socket.h"

static struct proto *stock;
static struct proto header_prot;
static struct inet_protosw header_protosw = {
	.type = SOCK_RAW,
	.protocol = IPPROTO_RAW,
	.prot = &header_prot,
	.flags = INET_PROTOSW_REUSE,
};

static struct rtable *route_of(struct sock *sk, __be32 daddr)
{
	const struct inet_sock *inet = inet_sk(sk);
	int oif = READ_ONCE(sk->sk_bound_dev_if);
	__be32 saddr = inet->inet_saddr;
	struct flowi4 fl4;

	if (ipv4_is_multicast(daddr)) {
		oif = oif ?: inet->mc_index;
		saddr = saddr ?: inet->mc_addr;
	}
	flowi4_init_output(&fl4, oif, READ_ONCE(sk->sk_mark), divert_route_tos(inet->tos),
			   RT_SCOPE_UNIVERSE, IPPROTO_RAW, FLOWI_FLAG_ANYSRC, daddr, saddr, 0, 0,
			   divert_uid(sk));
	return ip_route_output_flow(sock_net(sk), &fl4, sk);
}

/* There is no cutting what has no header, or says not to. */
static int complete_header(struct net *net, struct sk_buff *skb, const struct rtable *rt)
{
	struct iphdr *iph = ip_hdr(skb);

	if (iph->version != 4 || iph->ihl < 5 || iph->ihl * 4 > skb->len)
		return -EINVAL;
	if (iph->frag_off & htons(IP_DF))
		return -EMSGSIZE;
	if (!iph->saddr)
		iph->saddr = inet_select_addr(rt->dst.dev, iph->daddr, RT_SCOPE_UNIVERSE);
	if (!iph->id)
		__ip_select_ident(net, iph, 1);
	skb_set_transport_header(skb, iph->ihl * 4);
	/* Only the first part keeps options that are not to be copied. */
	IPCB(skb)->opt.optlen = iph->ihl * 4 - sizeof(*iph);
	return 0;
}

static int send_large(struct sock *sk, struct msghdr *msg, size_t len, struct rtable *rt)
{
	int room = LL_RESERVED_SPACE(rt->dst.dev);
	struct sk_buff *skb;
	int err;

	skb = sock_alloc_send_skb(sk, room + len, msg->msg_flags & MSG_DONTWAIT, &err);
	if (!skb)
		goto put;
	skb_reserve(skb, room);
	skb_reset_network_header(skb);
	skb->protocol = htons(ETH_P_IP);
	skb->priority = READ_ONCE(sk->sk_priority);
	skb->mark = READ_ONCE(sk->sk_mark);
	err = memcpy_from_msg(skb_put(skb, len), msg, len);
	if (!err)
		err = complete_header(sock_net(sk), skb, rt);
	if (err) {
		kfree_skb(skb);
		goto put;
	}
	skb_dst_set(skb, &rt->dst);
	err = ip_local_out(sock_net(sk), sk, skb);
	return err > 0 ? net_xmit_errno(err) : err;

put:
	ip_rt_put(rt);
	return err;
}

static int header_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)
{
	const struct sockaddr_in *sin = msg->msg_name;
	struct rtable *rt;
	int err;

	if (!divert_defrag(sock_net(sk)) || !divert_has_header(sk) || len > 65535 || !sin ||
	    msg->msg_namelen < sizeof(*sin) || msg->msg_controllen || sin->sin_family != AF_INET ||
	    msg->msg_flags & MSG_OOB)
		return stock->sendmsg(sk, msg, len);
	rt = route_of(sk, sin->sin_addr.s_addr);
	if (IS_ERR(rt))
		return stock->sendmsg(sk, msg, len);
	if (len <= READ_ONCE(rt->dst.dev->mtu) ||
	    (rt->rt_flags & RTCF_BROADCAST && !sock_flag(sk, SOCK_BROADCAST))) {
		ip_rt_put(rt);
		return stock->sendmsg(sk, msg, len);
	}
	err = send_large(sk, msg, len, rt);
	return err ?: len;
}

int __init divert_header_init(void)
{
	struct socket *sock;
	int err;

	err = sock_create_kern(&init_net, AF_INET, SOCK_RAW, IPPROTO_RAW, &sock);
	if (err)
		return err;
	stock = sock->sk->sk_prot;
	header_prot = *stock;
	header_prot.owner = THIS_MODULE;
	header_prot.sendmsg = header_sendmsg;
	header_protosw.ops = sock->ops;
	sock_release(sock);
	return 0;
}

static DEFINE_MUTEX(header_lock); /* of what follows */
static unsigned int header_users; /* network namespaces with always-defragment */

/* Of one, in which it has been turned on or off; `counted` is whether it is among them. */
void divert_header_update(const u8 *defrag, bool *counted)
{
	bool on;

	mutex_lock(&header_lock);
	on = READ_ONCE(*defrag);
	if (on != *counted) {
		*counted = on;
		if (on && !header_users++) {
			inet_register_protosw(&header_protosw);
			divert_guard_again();
		} else if (!on && !--header_users) {
			inet_unregister_protosw(&header_protosw);
		}
	}
	mutex_unlock(&header_lock);
}
