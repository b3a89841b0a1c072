// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packet that a program sends.
 */
#include <net/ip.h>
#include <net/sock.h>

#include "socket.h"

/*
 * What is sent from here is charged to the divert socket until a card has it. All
 * else is nobody's at once: it only waits with the rest for room, if there is none.
 */
static struct sk_buff *buffer(struct sock *sk, int flags, int len, bool sent, int *err)
{
	struct sk_buff *skb;

	if (sent || READ_ONCE(sk->sk_err) ||
	    READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN ||
	    sk_wmem_alloc_get(sk) >= READ_ONCE(sk->sk_sndbuf))
		return sock_alloc_send_skb(sk, len, flags & MSG_DONTWAIT, err);
	skb = alloc_skb(len, sk->sk_allocation | __GFP_RETRY_MAYFAIL);
	if (!skb)
		*err = -ENOBUFS;
	return skb;
}

/* True computed fields (I5), or an error (I6). All but the data is as of a new packet. */
int divert_packet_complete(struct sock *sk, struct sk_buff *skb)
{
	struct iphdr *iph = (struct iphdr *)skb->data;

	if (iph->version != 4 || iph->ihl < 5 || iph->ihl * 4 > skb->len)
		return -EINVAL;
	iph->tot_len = htons(skb->len);
	if (!iph->id && !ip_is_fragment(iph))
		do
			__ip_select_ident(sock_net(sk), iph, 1);
		while (!iph->id);
	ip_send_check(iph);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, iph->ihl * 4);
	skb->protocol = htons(ETH_P_IP);
	skb->priority = rt_tos2priority(iph->tos);
	skb->mark = READ_ONCE(sk->sk_mark);
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	/* If it is cut, only the first part keeps options not to be copied. */
	IPCB(skb)->opt.optlen = iph->ihl * 4 - sizeof(*iph);
	return 0;
}

/* The program's packet. */
struct sk_buff *divert_packet(struct sock *sk, struct msghdr *msg, int len, bool sent)
{
	struct sk_buff *skb;
	int err;

	skb = buffer(sk, msg->msg_flags, DIVERT_HEADROOM + len, sent, &err);
	if (!skb)
		return ERR_PTR(err);
	memset(skb->head, 0, DIVERT_HEADROOM);
	skb_reserve(skb, DIVERT_HEADROOM);
	err = memcpy_from_msg(skb_put(skb, len), msg, len);
	if (!err)
		err = divert_packet_complete(sk, skb);
	if (err) {
		kfree_skb(skb);
		return ERR_PTR(err);
	}
	return skb;
}
