// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk of a packet through the chains of a hook.
 */
#include <linux/ip.h>
#include <linux/netdevice.h>
#include <linux/rculist.h>
#include <net/ip.h>

#include "rules.h"
#include "walk.h"

/* From chain to chain. */

static struct fw_rule *next_rule(const struct walk *w)
{
	const struct list_head *at = w->rule ? &w->rule->list : &w->chain->rules;
	struct list_head *next = rcu_dereference(list_next_rcu(at));

	if (next == &w->chain->rules)
		return NULL;
	return list_entry(next, struct fw_rule, list);
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
	return w->rule->id + w->way;
}

/* False: too deep, which only rules that change meanwhile can make it (M12). */
static bool enter(struct walk *w, struct fw_chain *chain)
{
	struct frame *back = &w->back[w->depth];

	if (w->depth == FW_DEPTH - 1)
		return false;
	back->chain = w->chain;
	back->rule = w->rule;
	back->number = w->number;
	back->way = w->way;
	w->depth++;
	w->way = mix(mix(w->way, w->chain->id), w->rule->id);
	w->chain = chain;
	w->rule = NULL;
	w->number = 0;
	return true;
}

/* False where the walk began. */
static bool leave(struct walk *w)
{
	const struct frame *back;

	if (!w->depth)
		return false;
	back = &w->back[--w->depth];
	w->chain = back->chain;
	w->rule = back->rule;
	w->number = back->number;
	w->way = back->way;
	return true;
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

/* T3: a rule that takes nothing before its place. */
static bool is_passed_by(const struct walk *w)
{
	return w->state != LIVE && w->rule->target == FW_DIVERT && !w->rule->branch;
}

/* A DIVERT rule has matched: false if the next one is tried. */
static bool diverts(struct walk *w)
{
	struct divert_walk *packet = w->packet;
	u16 port = w->rule->fw.fw_redirpt;

	if (!packet)
		return true; /* R3: listener or not */
	if (w->state != LIVE)
		return false; /* T3 */
	if (packet->mark && packet->mark->port == port)
		return false; /* T1 */
	packet->rule = place(w);
	packet->sk = divert_listener(packet->ports, port);
	if (packet->sk)
		return true;
	divert_nobody(packet->ports);
	return !divert_passthrough(packet->net); /* P1, P2 */
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
		if (w->cost++ >= w->budget)
			return FW_OVER;
		w->number++;
		come_by(w);
		if (is_passed_by(w))
			continue;
		if (!fw_matches(&w->rule->fw, &w->dissected, w->ip))
			continue;
		if (w->packet && !fw_take_effect(w))
			return FW_BLOCK;
		if (w->rule->branch) {
			if (!enter(w, w->rule->branch))
				return FW_OVER;
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

/*
 * The way back, half a kilobyte, is written before it is read. To zero it, as kernels do with all that
 * is on the stack (CONFIG_INIT_STACK_ALL_ZERO), takes as long as the walk.
 */
static int begin(struct walk *w)
{
	__attribute__((__uninitialized__)) struct frame back[FW_DEPTH - 1];

	w->back = back;
	w->budget = READ_ONCE(fw_walk_budget);
	fw_dissect(&w->dissected, w->ip, w->len);
	if (w->dissected.suspect) { /* R1 */
		if (w->packet)
			fw_log_suspect(w->packet->net, &w->dissected, w->ip, w->len);
		return FW_BLOCK;
	}
	return walk(w);
}

/* All but what begin() writes. */
static void prepare(struct walk *w, struct divert_walk *packet, struct fw_chain *chain,
		    const struct iphdr *ip, unsigned int len, const char *ifname)
{
	w->packet = packet;
	w->ip = ip;
	w->len = len;
	w->dissected.ifname = ifname;
	w->chain = chain;
	w->rule = NULL;
	w->number = 0;
	w->way = 0;
	w->depth = 0;
	w->cost = 0;
	w->state = LIVE;
}

int fw_walk(struct divert_walk *packet, const struct iphdr *ip, unsigned int len)
{
	struct fw_chain *chain = packet->table->built_in[packet->hook - 1];
	__attribute__((__uninitialized__)) struct walk w;
	int verdict;

	if (ip->ihl < 5)
		return FW_ACCEPT; /* a raw socket's rubbish */
	if (list_empty(&chain->rules) && !ip_is_fragment(ip)) {
		fw_count_add(chain->count, 1, ntohs(ip->tot_len));
		return READ_ONCE(chain->policy);
	}
	prepare(&w, packet, chain, ip, len, packet->dev->name);
	if (packet->mark && packet->mark->hook == packet->hook)
		w.state = QUIET;
	verdict = begin(&w);
	if (unlikely(verdict == FW_OVER)) { /* M12 */
		atomic_inc(&divert_net(packet->net)->over);
		fw_log_over(packet->net, &w.dissected, w.ip, w.len);
		return FW_BLOCK;
	}
	return verdict;
}

int fw_test(struct fw_chain *chain, const struct iphdr *ip, unsigned int len, const char *ifname)
{
	__attribute__((__uninitialized__)) struct walk w;

	prepare(&w, NULL, chain, ip, len, ifname);
	return begin(&w);
}
