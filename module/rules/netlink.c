// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies for the firewall's netlink (IP_FW_F_NETLINK, C4): length and mark, the
 * interface's name, and as much of the packet as the rule says. Every socket of
 * NETLINK_FIREWALL that has bound group 1 gets all of them.
 */
#include <linux/ip.h>
#include <linux/net.h>
#include <linux/netlink.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <net/checksum.h>
#include <net/net_namespace.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "rules.h"

#define GROUP 1

struct copy_head {
	u32 len; /* of all of the copy */
	u32 mark;
	char ifname[IFNAMSIZ];
};

/* As in what a divert socket gets (S7): what is put off until a card does it. */
static void complete_transport(const struct sk_buff *skb, u8 *copy, unsigned int len)
{
	int start = skb_checksum_start_offset(skb);
	unsigned int field = start + skb->csum_offset;
	__sum16 sum;

	if (start < 0 || field + sizeof(sum) > len)
		return;
	sum = csum_fold(skb_checksum(skb, start, skb->len - start, 0)) ?: CSUM_MANGLED_0;
	memcpy(copy + field, &sum, sizeof(sum));
}

/* False if there is no memory for it: then the packet is dropped, as by 2.2. */
bool fw_netlink_copy(const struct divert_walk *packet, const struct ip_fw *fw)
{
	const struct sk_buff *skb = packet->skb;
	struct sock *sk = fw_table(packet->net)->netlink;
	unsigned int len = min_t(unsigned int, fw->fw_outputsize, skb->len);
	struct copy_head *head;
	struct sk_buff *copy;

	if (!netlink_has_listeners(sk, GROUP))
		return true;
	copy = alloc_skb(sizeof(*head) + len, GFP_ATOMIC);
	if (!copy) {
		if (net_ratelimit())
			pr_warn("ip_fw: packet drop due to netlink failure\n");
		return false;
	}
	head = skb_put_zero(copy, sizeof(*head));
	head->len = sizeof(*head) + len;
	head->mark = skb->mark;
	strscpy(head->ifname, packet->dev->name, sizeof(head->ifname));
	skb_copy_bits(skb, 0, skb_put(copy, len), len);
	if (skb->ip_summed == CHECKSUM_PARTIAL && !skb_csum_is_sctp((struct sk_buff *)skb))
		complete_transport(skb, (u8 *)(head + 1), len);
	NETLINK_CB(copy).dst_group = GROUP;
	netlink_broadcast(sk, copy, 0, GROUP, GFP_ATOMIC);
	return true;
}

int fw_netlink_init(struct net *net)
{
	struct netlink_kernel_cfg cfg = { .groups = GROUP };

	/*
	 * No owner, or each socket of this protocol, which any user can have, would hold the
	 * module (M6). None has anything of it: there is no function to call.
	 */
	fw_table(net)->netlink = __netlink_kernel_create(net, NETLINK_FIREWALL, NULL, &cfg);
	return fw_table(net)->netlink ? 0 : -ENOMEM;
}

void fw_netlink_exit(struct net *net)
{
	netlink_kernel_release(fw_table(net)->netlink);
}
