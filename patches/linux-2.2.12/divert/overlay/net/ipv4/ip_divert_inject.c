/* SPDX-License-Identifier: GPL-2.0-only */
/*
 *	Divert sockets: putting packets back, and what always-defragment adds
 *	on the way out (F4, F5). Where one goes on that was taken before is in
 *	ip_divert_reinject.c.
 *
 *	Statement numbers (S1, T3, ...) are those of the project's SPEC.md.
 *
 *	Context. A process, in sendmsg. What the network would do in a bottom
 *	half (input, forwarding) is done here and now with bottom halves held
 *	off, and nothing in it sleeps; so the marks that T1 and T3 need travel
 *	with the packet and nobody else's packet comes between. What a sending
 *	process does (local output) is done as by any sending process.
 */

#include <linux/config.h>
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/errno.h>
#include <linux/socket.h>
#include <linux/in.h>
#include <linux/inet.h>
#include <linux/netdevice.h>
#include <linux/inetdevice.h>
#include <linux/interrupt.h>
#include <linux/skbuff.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>
#include <linux/firewall.h>
#include <linux/ip_fw.h>
#include <net/ip_divert_pending.h>

#include <asm/uaccess.h>

#define DIVERT_HEADROOM	((MAX_HEADER + 15) & ~15)

/*
 *	Copies the program's packet into a buffer that is charged to the divert
 *	socket, so that a program which injects faster than the wire is slowed
 *	down, and makes the header's computed fields true (I5).
 */
static struct sk_buff *divert_packet(struct sock *sk, struct msghdr *msg,
				     int len, int *err)
{
	struct sk_buff *skb;
	struct iphdr *iph;

	skb = sock_alloc_send_skb(sk, DIVERT_HEADROOM + len, 0,
				  msg->msg_flags & MSG_DONTWAIT, err);
	if (!skb)
		return NULL;
	memset(skb->head, 0, DIVERT_HEADROOM);
	skb_reserve(skb, DIVERT_HEADROOM);
	skb->mac.raw = skb->head;
	iph = skb->nh.iph = (struct iphdr *)skb_put(skb, len);

	*err = memcpy_fromiovec((unsigned char *)iph, msg->msg_iov, len);
	if (*err)
		goto fail;
	*err = -EINVAL;					/* I6 */
	if (iph->version != 4 || iph->ihl < 5 || iph->ihl * 4 > len)
		goto fail;

	iph->tot_len = htons(len);
	if (!(iph->frag_off & htons(IP_MF | IP_OFFSET)))
		while (!iph->id)
			iph->id = htons(ip_id_count++);
	ip_send_check(iph);

	skb->h.raw = skb->nh.raw + iph->ihl * 4;
	skb->protocol = htons(ETH_P_IP);
	skb->priority = rt_tos2priority(iph->tos);
	skb->divert.port = ntohs(sk->sport);		/* T1 */
	return skb;

fail:
	kfree_skb(skb);
	return NULL;
}

/* The interface that has this address; one that is up, if there are two. */
static struct device *divert_find_device(__u32 addr)
{
	struct device *dev, *found = NULL;

	for (dev = dev_base; dev; dev = dev->next) {
		struct in_device *in_dev = dev->ip_ptr;

		if (!in_dev)
			continue;
		for_ifa(in_dev) {
			if (ifa->ifa_local != addr)
				continue;
			if (dev->flags & IFF_UP)
				return dev;
			found = dev;
		} endfor_ifa(in_dev);
	}
	return found;
}

/* I3: the class that the link layer would have told for this destination. */
static int divert_packet_type(__u32 daddr)
{
	if (MULTICAST(daddr))
		return PACKET_MULTICAST;
	if (inet_addr_type(daddr) == RTN_BROADCAST)
		return PACKET_BROADCAST;
	return PACKET_HOST;
}

/*
 *	Input: the packet enters at ip_rcv(), behind the taps of net_bh(), which
 *	have seen a tagged one before. What becomes of it there its sender does
 *	not learn, no more than the wire's. With bottom halves held off.
 */
int divert_receive(struct sk_buff *skb, struct device *dev)
{
	skb_orphan(skb);	/* Whoever receives it will be charged */
	skb->dev = dev;
	get_fast_time(&skb->stamp);
	ip_rcv(skb, dev, NULL);
	return 0;
}

static int divert_inbound(struct sk_buff *skb, __u32 addr)
{
	struct device *dev = divert_find_device(addr);

	if (!dev || !(dev->flags & IFF_UP)) {
		kfree_skb(skb);
		return dev ? -ENETDOWN : -EADDRNOTAVAIL;
	}
	skb->pkt_type = divert_packet_type(skb->nh.iph->daddr);
	start_bh_atomic();
	divert_receive(skb, dev);
	end_bh_atomic();
	return 0;
}

/* FW_QUEUE is a success: another port has it now (T2), or its queue is full. */
int divert_refused(int verdict)
{
	return verdict == FW_QUEUE ? 0 : -EPERM;
}

/*
 *	Sends one fragment. ip_fragment() leaves in every fragment the options
 *	that belong into the first alone; a sender's own fragments never had
 *	them (ip_options_build), so they are overwritten here.
 */
static int divert_send_fragment(struct sk_buff *skb)
{
	struct iphdr *iph = skb->nh.iph;
	unsigned char *p = (unsigned char *)(iph + 1);
	int left = iph->ihl * 4 - sizeof(struct iphdr);
	int len;

	if (iph->frag_off & htons(IP_OFFSET)) {
		for (; left > 0 && *p != IPOPT_END; p += len, left -= len) {
			len = 1;
			if (*p == IPOPT_NOOP)
				continue;
			len = left > 1 ? p[1] : 0;
			if (len < 2 || len > left)
				break;
			if (!IPOPT_COPIED(*p))
				memset(p, IPOPT_NOOP, len);
		}
		ip_send_check(iph);
	}
	return skb->dst->output(skb);
}

int divert_fragment(struct sk_buff *skb)
{
	ip_fragment(skb, divert_send_fragment);
	return 0;
}

static int divert_transmit(struct sock *sk, struct sk_buff *skb,
			   unsigned limit, int loop)
{
	int was = sk->ip_mc_loop;
	int err;

	/* ip_mc_output() asks the socket, which is locked by the kernel lock:
	 * nothing below here sleeps. */
	sk->ip_mc_loop = loop;
	if (skb->len > limit)
		err = divert_fragment(skb);
	else
		err = skb->dst->output(skb);
	sk->ip_mc_loop = was;
	return err;
}

/* This host's own, by its route: the output chain, and what is behind it. */
int divert_local_out(struct sock *sk, struct sk_buff *skb, unsigned limit,
		     int loop)
{
	struct device *dev = skb->dst->dev;
	int verdict;

	if (skb_headroom(skb) < dev->hard_header_len) {
		skb = skb_cow(skb, dev->hard_header_len);
		if (!skb)
			return -ENOBUFS;
		skb_set_owner_w(skb, sk);
	}
	verdict = call_out_firewall(PF_INET, dev, skb->nh.iph, NULL, &skb);
	if (verdict < FW_ACCEPT) {
		kfree_skb(skb);
		return divert_refused(verdict);
	}
	return divert_transmit(sk, skb, limit, loop);
}

/* I6: every failure to find a way is ENETUNREACH, whatever the look-up says. */
int divert_way_errno(int err)
{
	return err && err != -ENOBUFS ? -ENETUNREACH : err;
}

/* To a group 2.2.12 finds a way by an interface that is down too, and loses
 * without a word what is sent there. */
int divert_way_out(struct sk_buff *skb, __u32 daddr, __u32 saddr, __u32 tos,
		   int oif)
{
	struct rtable *rt;
	int err = ip_route_output(&rt, daddr, saddr, tos, oif);

	if (err)
		return divert_way_errno(err);
	if (!(rt->u.dst.dev->flags & IFF_UP)) {
		ip_rt_put(rt);
		return -ENETUNREACH;
	}
	skb->dst = &rt->u.dst;
	return 0;
}

/*
 *	Of what a program made. The route is looked up with no source, for the
 *	packet may have any (I8); SO_BROADCAST is not asked for (I6).
 *	IP_MULTICAST_IF tells the interface by index or by address; with either
 *	the look-up needs no route to the group (I7).
 */
static int divert_route_out(struct sock *sk, struct sk_buff *skb, int flags)
{
	struct iphdr *iph = skb->nh.iph;
	__u32 tos = RT_TOS(iph->tos);
	int oif = sk->bound_dev_if;
	__u32 saddr = 0;

	if (MULTICAST(iph->daddr)) {
		if (!oif)
			oif = sk->ip_mc_index;
		saddr = sk->ip_mc_addr;
	}
	if (sk->localroute || flags & MSG_DONTROUTE)
		tos |= RTO_ONLINK;
	return divert_way_out(skb, iph->daddr, saddr, tos, oif);
}

static int divert_outbound(struct sock *sk, struct sk_buff *skb, int flags)
{
	unsigned limit;
	int err;

	err = divert_route_out(sk, skb, flags);
	if (err)
		goto drop;
	limit = skb->dst->dev->mtu;		/* F3, as for hdrincl */
	err = -EMSGSIZE;
	if (skb->len > limit &&
	    (skb->nh.iph->frag_off & htons(IP_DF) || !divert_defrag()))
		goto drop;
	return divert_local_out(sk, skb, limit, sk->ip_mc_loop);

drop:
	kfree_skb(skb);
	return err;
}

/*
 *	The closing table of SPEC.md. Returns 0 or a negative error (I6). No
 *	address, or one that is all zero, means outbound (I3).
 */
int divert_inject(struct sock *sk, struct msghdr *msg, int len,
		  const struct sockaddr_in *sin)
{
	struct divert_pending pending;
	struct sk_buff *skb;
	int err;

	skb = divert_packet(sk, msg, len, &err);
	if (!skb)
		return err;
	err = sin ? divert_pending_find(sin, &pending) : 0;
	if (err < 0) {
		kfree_skb(skb);
		return err;
	}
	if (err)
		return divert_reenter(sk, skb, &pending);
	if (!sin || !sin->sin_addr.s_addr)
		return divert_outbound(sk, skb, msg->msg_flags);
	return divert_inbound(skb, sin->sin_addr.s_addr);
}

/*
 *	F4: a datagram of this host's that needs fragments, from
 *	ip_build_xmit_slow(): build it whole, show it to the chain, then cut it.
 *	The sender waits for its turn as always, but the whole is not charged to
 *	it: only the fragments are, as they go to the device.
 */
int divert_build_xmit(struct sock *sk,
		      int getfrag(const void *, char *,
				  unsigned int, unsigned int),
		      const void *frag, unsigned length,
		      struct ipcm_cookie *ipc, struct rtable *rt, int flags)
{
	struct device *dev = rt->u.dst.dev;
	struct ip_options *opt = ipc->opt;
	int hlen = sizeof(struct iphdr) + (opt ? opt->optlen : 0);
	int room = (dev->hard_header_len + 15) & ~15;
	struct sk_buff *skb;
	struct iphdr *iph;
	int err;

	skb = sock_alloc_send_skb(sk, room + hlen + length, 0,
				  flags & MSG_DONTWAIT, &err);
	if (!skb)
		goto error;
	skb_orphan(skb);
	skb->sk = sk;		/* For ip_fragment() and ip_mc_output() */
	skb->priority = sk->priority;
	skb->dst = dst_clone(&rt->u.dst);
	skb_reserve(skb, room);
	iph = skb->nh.iph = (struct iphdr *)skb_put(skb, hlen + length);

	iph->version = 4;
	iph->ihl = 5;
	if (opt) {
		iph->ihl += opt->optlen >> 2;
		ip_options_build(skb, opt, ipc->addr, rt, 0);
	}
	iph->tos = sk->ip_tos;
	iph->tot_len = htons(hlen + length);
	iph->id = htons(ip_id_count++);
	iph->frag_off = 0;
	iph->ttl = rt->rt_type == RTN_MULTICAST ? sk->ip_mc_ttl : sk->ip_ttl;
	iph->protocol = sk->protocol;
	iph->saddr = rt->rt_src;
	iph->daddr = rt->rt_dst;
	ip_send_check(iph);

	dev_lock_list();
	err = getfrag(frag, (char *)iph + hlen, 0, length);
	dev_unlock_list();
	if (err) {
		err = -EFAULT;
		goto drop;
	}

	switch (call_out_firewall(PF_INET, dev, iph, NULL, &skb)) {
	case FW_QUEUE:
		kfree_skb(skb);
		return 0;
	case FW_BLOCK:
	case FW_REJECT:
		err = -EPERM;
		goto drop;
	}
	return divert_fragment(skb);

drop:
	kfree_skb(skb);
error:
	ip_statistics.IpOutDiscards++;
	return err;
}

/*
 *	F5: a raw socket's IP_HDRINCL packet that ip_build_xmit() has let past
 *	the MTU. ip_fragment() believes the header, so it has to be one.
 */
int divert_large_error(struct iphdr *iph, unsigned length)
{
	if (iph->version != 4 || iph->ihl < 5 || iph->ihl * 4 > length)
		return -EINVAL;
	return iph->frag_off & htons(IP_DF) ? -EMSGSIZE : 0;
}
