// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains without rules that accept: what passes is counted, and no more.
 */
#include <linux/ip.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>

#include "rules.h"

static bool is_idle(const struct fw_chain *chain)
{
	return list_empty(&chain->rules) && READ_ONCE(chain->policy) == FW_ACCEPT;
}

/* What each part of a large segment has in front of its data; 0: not known. */
static unsigned int headers_of(const struct sk_buff *skb)
{
	unsigned int len = ip_hdrlen(skb);
	const struct tcphdr *tcp;
	struct tcphdr space;

	if (skb_shinfo(skb)->gso_type & SKB_GSO_UDP_L4)
		return len + sizeof(struct udphdr);
	if (!(skb_shinfo(skb)->gso_type & SKB_GSO_TCPV4))
		return 0;
	tcp = skb_header_pointer(skb, len, sizeof(space), &space);
	return tcp ? len + __tcp_hdrlen(tcp) : 0;
}

/*
 * True, and counted, if this packet passes the built-in chains of these hooks
 * unseen. A fragment never does: even empty chains block some (R1). A large
 * segment counts as the packets that it stands for. Called with bottom halves
 * off; skb->data is at the IP header.
 */
bool fw_fastpath(const struct fw_table *table, const struct sk_buff *skb, u8 first, u8 last)
{
	unsigned int packets = 1, bytes = skb->len;
	u8 hook;

	if (ip_is_fragment(ip_hdr(skb)) || ip_hdr(skb)->ihl < 5)
		return false;
	for (hook = first; hook <= last; hook++)
		if (!is_idle(table->built_in[hook - 1]))
			return false;
	if (skb_is_gso(skb)) {
		unsigned int headers = headers_of(skb);

		packets = skb_shinfo(skb)->gso_segs;
		if (!packets || !headers)
			return false;
		bytes += (packets - 1) * headers;
	}
	for (hook = first; hook <= last; hook++)
		fw_count_add(table->built_in[hook - 1]->count, packets, bytes);
	return true;
}
