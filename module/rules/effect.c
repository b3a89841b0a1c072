// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a rule does to a packet that it matches, besides its target.
 */
#include <linux/ip.h>
#include <linux/skbuff.h>
#include <net/checksum.h>

#include "rules.h"
#include "walk.h"

/* M12: what a copy costs, in rules that could be looked at meanwhile. */
#define COPY_COST    64
#define BYTES_A_RULE 64

static bool change_tos(struct walk *w, const struct ip_fw *fw)
{
	struct sk_buff *skb = w->packet->skb;
	u8 old = w->ip->tos;
	u8 tos = (old & fw->fw_tosand) ^ fw->fw_tosxor;
	struct iphdr *ip;

	if (tos == old)
		return true;
	if (skb_ensure_writable(skb, sizeof(*ip)))
		return false;
	ip = ip_hdr(skb);
	csum_replace2(&ip->check, htons(old), htons(tos));
	ip->tos = tos;
	w->ip = ip;
	return true;
}

static void change_mark(struct sk_buff *skb, const struct ip_fw *fw)
{
	if (fw->fw_flg & IP_FW_F_MARKABS)
		skb->mark = fw->fw_mark;
	else
		skb->mark += fw->fw_mark;
}

/*
 * T3: in quiet there is none; the packet has the mark that it had when it was taken. False: no
 * memory for it.
 */
bool fw_take_effect(struct walk *w)
{
	const struct ip_fw *fw = &w->rule->fw;

	if (w->state != LIVE)
		return true;
	fw_count_add(w->rule->count, 1, ntohs(w->ip->tot_len));
	if (fw->fw_flg & IP_FW_F_PRN)
		fw_log(w->packet->net, &w->dissected, w->ip, w->len, w->chain, w->rule, w->number);
	if (!change_tos(w, fw))
		return false;
	change_mark(w->packet->skb, fw);
	if (!(fw->fw_flg & IP_FW_F_NETLINK))
		return true;
	w->cost += COPY_COST + min_t(unsigned int, fw->fw_outputsize, w->len) / BYTES_A_RULE;
	return fw_netlink_copy(w->packet, fw);
}
