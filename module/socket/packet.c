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

	if (sent || READ_ONCE(sk->sk_err) || sk_wmem_alloc_get(sk) >= READ_ONCE(sk->sk_sndbuf))
		return sock_alloc_send_skb(sk, len, flags & MSG_DONTWAIT, err);
	skb = alloc_skb(len, sk->sk_allocation | __GFP_RETRY_MAYFAIL);
	if (!skb)
		*err = -ENOBUFS;
	return skb;
}

/* True computed fields (I5), or an error (I6). All else that is known of the packet stays. */
int divert_packet_renew(struct sock *sk, struct sk_buff *skb)
{
	struct iphdr *iph;

	if (!pskb_may_pull(skb, sizeof(*iph)))
		return -EINVAL;
	iph = (struct iphdr *)skb->data;
	if (iph->version != 4 || iph->ihl < 5 || iph->ihl * 4 > skb->len)
		return -EINVAL;
	if (!pskb_may_pull(skb, iph->ihl * 4))
		return -ENOBUFS;
	iph = (struct iphdr *)skb->data;
	iph->tot_len = htons(skb->len);
	if (!iph->id && !ip_is_fragment(iph))
		do
			__ip_select_ident(sock_net(sk), iph, 1);
		while (!iph->id);
	ip_send_check(iph);
	skb_reset_network_header(skb);
	skb_set_transport_header(skb, iph->ihl * 4);
	/* If it is cut, only the first part keeps options not to be copied. */
	memset(&IPCB(skb)->opt, 0, sizeof(IPCB(skb)->opt));
	IPCB(skb)->opt.optlen = iph->ihl * 4 - sizeof(*iph);
	return 0;
}

/* The same of a packet of which nothing is known. */
int divert_packet_complete(struct sock *sk, struct sk_buff *skb)
{
	memset(IPCB(skb), 0, sizeof(*IPCB(skb)));
	skb->protocol = htons(ETH_P_IP);
	skb->mark = READ_ONCE(sk->sk_mark);
	skb->priority = rt_tos2priority(((const struct iphdr *)skb->data)->tos);
	return divert_packet_renew(sk, skb);
}

/* The program's bytes take the place of those of a packet that it was given. */
int divert_packet_replace(struct sock *sk, struct sk_buff *skb, struct msghdr *msg, int len)
{
	u8 tos = ip_hdr(skb)->tos;
	int err, missing;

	err = pskb_trim(skb, 0);
	if (err)
		return -ENOBUFS;
	missing = len - skb_tailroom(skb);
	if ((missing > 0 || skb_cloned(skb)) &&
	    pskb_expand_head(skb, 0, max(missing, 0), sk->sk_allocation))
		return -ENOBUFS;
	err = memcpy_from_msg(skb_put(skb, len), msg, len);
	if (err)
		return err;
	skb->ip_summed = CHECKSUM_NONE;
	skb->encapsulation = 0;
	err = divert_packet_renew(sk, skb);
	if (!err && ip_hdr(skb)->tos != tos)
		skb->priority = rt_tos2priority(ip_hdr(skb)->tos);
	return err;
}

/*
 * To be changed: another reader may still look at it (MSG_PEEK), or have its bytes. NULL: there is
 * no memory for a copy, and it is as it was.
 */
struct sk_buff *divert_packet_own(struct sk_buff *skb, gfp_t gfp)
{
	struct sk_buff *copy;

	if (likely(!skb_shared(skb) && !skb_cloned(skb)))
		return skb;
	copy = skb_copy_expand(skb, DIVERT_HEADROOM, 0, gfp | __GFP_NOWARN);
	if (copy)
		consume_skb(skb);
	return copy;
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
