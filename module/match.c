// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk of a packet through the chains of a hook.
 */
#include <linux/ip.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/rculist.h>
#include <linux/skbuff.h>
#include <net/checksum.h>
#include <net/ip.h>

#include "rules.h"

struct walk {
	struct divert_walk	*packet;	/* NULL: IP_FW_CHECK's */
	const struct iphdr	*ip;
	unsigned int		len;
	struct fw_look		look;
	const struct fw_chain	*start;
	struct fw_chain		*chain;
	struct fw_rule		*rule;		/* NULL: before the first */
	unsigned int		number;		/* of that rule */
	enum {
		LIVE,		/* an ordinary walk, or past the rule */
		AT_RULE,	/* T3: at the rule that took it */
		QUIET,		/* T3: not yet come by that rule */
	} state;
};

/* From chain to chain. */

static struct fw_rule *next_rule(const struct walk *w)
{
	const struct list_head *at = w->rule ? &w->rule->list : &w->chain->rules;
	struct list_head *next = rcu_dereference(list_next_rcu(at));

	if (next == &w->chain->rules)
		return NULL;
	return list_entry(next, struct fw_rule, list);
}

static bool is_inside(const struct walk *w, const struct fw_chain *chain)
{
	return chain == w->start || this_cpu_ptr(chain->back)->from;
}

static void enter(struct walk *w, struct fw_chain *chain)
{
	struct fw_back *back = this_cpu_ptr(chain->back);

	back->from = w->chain;
	back->rule = w->rule;
	back->number = w->number;
	w->chain = chain;
	w->rule = NULL;
	w->number = 0;
}

/* False where the walk began. */
static bool leave(struct walk *w)
{
	struct fw_back *back;

	if (w->chain == w->start)
		return false;
	back = this_cpu_ptr(w->chain->back);
	w->chain = back->from;
	w->rule = back->rule;
	w->number = back->number;
	back->from = NULL;
	return true;
}

/*
 * T3: a place in the walk. A chain of the user's can be reached twice, so the
 * way to it is part of the name.
 */
static u32 mix(u32 h, u32 word)
{
	h = (h ^ word) * 0x9e3779b1;
	return h ^ h >> 15;
}

static u32 place(const struct walk *w)
{
	const struct fw_chain *chain = w->chain;
	u32 way = 0;

	while (chain != w->start) {
		const struct fw_back *back = this_cpu_ptr(chain->back);

		way = mix(way, back->from->id);
		way = mix(way, back->rule->id);
		chain = back->from;
	}
	return (w->rule->id + way) & FW_ID_MASK;
}

/*
 * T3: coming by is enough. A packet that the program has rewritten often does
 * not match that rule any more, and the rules after it see it all the same.
 */
static void come_by(struct walk *w)
{
	if (w->state == AT_RULE)
		w->state = LIVE;
	else if (w->state == QUIET && place(w) == w->packet->mark->rule)
		w->state = AT_RULE;
}

/* What a match does besides its target. */

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
 * T3: in quiet there is no effect but the mark, which belongs to the packet:
 * injection made a new one. False: no memory for it.
 */
static bool take_effect(struct walk *w)
{
	const struct ip_fw *fw = &w->rule->fw;

	if (w->state != LIVE) {
		change_mark(w->packet->skb, fw);
		return true;
	}
	fw_count_add(w->rule->count, 1, ntohs(w->ip->tot_len));
	if (fw->fw_flg & IP_FW_F_PRN)
		fw_log(w->packet->net, &w->look, w->ip, w->len, w->chain, w->rule,
		       w->number);
	if (!change_tos(w, fw))
		return false;
	change_mark(w->packet->skb, fw);
	return !(fw->fw_flg & IP_FW_F_NETLINK) || fw_netlink_copy(w->packet, fw);
}

/* T3: a rule that takes nothing before its place, and has no other effect there. */
static bool is_passed_by(const struct walk *w)
{
	const struct ip_fw *fw = &w->rule->fw;

	return w->state != LIVE && w->rule->target == FW_DIVERT && !w->rule->branch &&
	       !fw->fw_mark && !(fw->fw_flg & IP_FW_F_MARKABS);
}

/* A DIVERT rule has matched: false if the next one is tried. */
static bool diverts(struct walk *w)
{
	struct divert_walk *packet = w->packet;
	u16 port = w->rule->fw.fw_redirpt;

	if (!packet)
		return true;			/* R3: listener or not */
	if (w->state != LIVE)
		return false;			/* T3 */
	if (packet->mark && packet->mark->port == port)
		return false;			/* T1 */
	packet->rule = place(w);
	packet->sk = divert_listener(packet->net, port);
	if (packet->sk)
		return true;
	divert_nobody(packet->net);
	return !divert_passthrough(packet->net);	/* P1, P2 */
}

static int loop_verdict(const struct walk *w, const struct fw_chain *chain)
{
	if (!w->packet)
		return FW_RETURN;
	if (net_ratelimit())
		pr_err("IP firewall: Loop detected at `%s'.\n", chain->label);
	return FW_BLOCK;
}

/* The walk comes to its end where a chain does: true if that is the last. */
static bool falls_off(struct walk *w, int *verdict)
{
	const struct fw_chain *chain = w->chain;

	if (leave(w))
		return false;
	*verdict = READ_ONCE(chain->policy);
	if (w->packet)
		fw_count_add(chain->count, 1, ntohs(w->ip->tot_len));
	return true;
}

static int walk(struct walk *w)
{
	int verdict;

	for (;;) {
		w->rule = next_rule(w);
		if (!w->rule) {
			if (falls_off(w, &verdict))
				return verdict;
			continue;
		}
		w->number++;
		come_by(w);
		if (is_passed_by(w))
			continue;
		if (!fw_matches(&w->rule->fw, &w->look, w->ip))
			continue;
		if (w->packet && !take_effect(w))
			return FW_BLOCK;
		if (w->rule->branch) {
			if (is_inside(w, w->rule->branch))
				return loop_verdict(w, w->rule->branch);
			enter(w, w->rule->branch);
			continue;
		}
		verdict = w->rule->target;
		if (verdict == FW_SKIP)
			continue;
		if (verdict == FW_DIVERT && !diverts(w))
			continue;
		if (verdict != FW_RETURN || falls_off(w, &verdict))
			return verdict;
	}
}

static int begin(struct walk *w)
{
	int verdict;

	fw_look_at(&w->look, w->ip, w->len);
	if (w->look.suspect) {			/* R1 */
		if (w->packet)
			fw_log_suspect(w->packet->net, &w->look, w->ip, w->len);
		return FW_BLOCK;
	}
	verdict = walk(w);
	while (leave(w))
		;
	return verdict;
}

int fw_walk(struct divert_walk *packet, const struct iphdr *ip, unsigned int len)
{
	struct fw_chain *chain = fw_table(packet->net)->built_in[packet->hook - 1];
	struct walk w = {
		.packet		= packet,
		.ip		= ip,
		.len		= len,
		.look.ifname	= packet->dev->name,
		.start		= chain,
		.chain		= chain,
	};

	if (ip->ihl < 5)
		return FW_ACCEPT;		/* a raw socket's rubbish */
	if (list_empty(&chain->rules) && !ip_is_fragment(ip)) {
		fw_count_add(chain->count, 1, ntohs(ip->tot_len));
		return READ_ONCE(chain->policy);
	}
	if (packet->mark && packet->mark->hook == packet->hook)
		w.state = QUIET;
	return begin(&w);
}

int fw_test(struct fw_chain *chain, const struct iphdr *ip, unsigned int len,
	    const char *ifname)
{
	struct walk w = {
		.ip		= ip,
		.len		= len,
		.look.ifname	= ifname,
		.start		= chain,
		.chain		= chain,
	};

	return begin(&w);
}
