// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connections (M11) of packets that were taken behind connection tracking. A packet holds its own;
 * here is what becomes of it when the packet is given back.
 *
 * The module does not need connection tracking, and does not load it: what it calls there it finds
 * in a hook, by netfilter's own pointers, or by symbol_get() for as long as the call takes.
 */
#include <linux/icmp.h>
#include <linux/jhash.h>
#include <linux/module.h>
#include <linux/netfilter_ipv4.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_zones.h>

#include "socket.h"

/* An error is of the connection of the packet that it quotes. */
static u32 icmp_ends(const struct sk_buff *skb, unsigned int at)
{
	const struct icmphdr *icmp;
	struct icmphdr space;
	u32 quoted[7];

	icmp = skb_header_pointer(skb, at, sizeof(space), &space);
	if (!icmp)
		return 0;
	if (icmp_is_err(icmp->type) &&
	    !skb_copy_bits(skb, at + sizeof(*icmp), quoted, sizeof(quoted)))
		return jhash2(quoted, ARRAY_SIZE(quoted), icmp->type << 8 | icmp->code);
	return icmp->type << 24 | icmp->code << 16 | (__force u16)icmp->un.echo.id;
}

/* What beside addresses and protocol tells connections apart: ports, or what stands for them. */
u32 divert_ends(const struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);
	const u32 *ends;
	u32 space;

	if (iph->frag_off & htons(IP_OFFSET))
		return 0;
	if (divert_has_ports(iph->protocol)) {
		ends = skb_header_pointer(skb, iph->ihl * 4, sizeof(space), &space);
		return ends ? get_unaligned(ends) : 0;
	}
	return iph->protocol == IPPROTO_ICMP ? icmp_ends(skb, iph->ihl * 4) : 0;
}

static struct nf_conn *connection(const struct sk_buff *skb)
{
	return (struct nf_conn *)(skb_get_nfct(skb) & NFCT_PTRMASK);
}

bool divert_is_unconfirmed(const struct sk_buff *skb)
{
	const struct nf_conn *ct = connection(skb);

	return ct && !nf_ct_is_template(ct) && !nf_ct_is_confirmed(ct);
}

/* The function of this priority in this hook that is no table's; NULL if it is not there. */
static nf_hookfn *function_at(const struct net *net, unsigned int hook, int priority)
{
	const struct nf_hook_entries *entries = rcu_dereference(net->nf.hooks_ipv4[hook]);
	struct nf_hook_ops **ops;
	int i;

	if (!entries)
		return NULL;
	ops = nf_hook_entries_get_hook_ops(entries);
	for (i = 0; i < entries->num_hook_entries; i++)
		if (ops[i]->priority == priority && !ops[i]->priv)
			return entries->hooks[i].hook;
	return NULL;
}

static nf_hookfn *tracker(const struct net *net, unsigned int hook)
{
	return function_at(net, hook, NF_IP_PRI_CONNTRACK);
}

/* Fragments are put together behind the input chain. Under RCU. */
bool divert_conntrack_gathers(const struct net *net)
{
	return function_at(net, NF_INET_PRE_ROUTING, NF_IP_PRI_CONNTRACK_DEFRAG);
}

bool divert_conntrack_is_there(const struct net *net)
{
	bool there;

	rcu_read_lock();
	there = tracker(net, NF_INET_PRE_ROUTING) || tracker(net, NF_INET_LOCAL_OUT);
	rcu_read_unlock();
	return there;
}

/* A quarter of what connection tracking has room for, unless told (M11). In a process. */
unsigned int divert_most_unconfirmed(void)
{
	unsigned int most = 16384;
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	const unsigned int *max = symbol_get(nf_conntrack_max);

	if (max) {
		most = max(READ_ONCE(*max) / 4, 1U);
		symbol_put(nf_conntrack_max);
	}
#endif
	return most;
}

/* It is to be tracked in the zone that it was in. False: there is no memory for that. */
static bool set_zone(struct sk_buff *skb, struct net *net, const struct nf_conntrack_zone *zone)
{
	typeof(&nf_ct_tmpl_alloc) alloc = symbol_get(nf_ct_tmpl_alloc);
	struct nf_conn *template;

	if (!alloc)
		return false;
	template = alloc(net, zone, GFP_ATOMIC);
	symbol_put(nf_ct_tmpl_alloc);
	if (!template)
		return false;
	nf_ct_set(skb, template, IP_CT_NEW);
	return true;
}

/* Its addresses, ports or protocol are others now: tracked anew, in its zone, with its mark. */
static bool track(struct sk_buff *skb, const struct nf_hook_state *state)
{
	struct nf_hook_state first = *state;
	struct nf_conntrack_zone zone;
	struct nf_conn *ct = connection(skb);
	nf_hookfn *hook;
	u32 mark = 0;

	zone = *nf_ct_zone(ct);
#ifdef CONFIG_NF_CONNTRACK_MARK
	mark = READ_ONCE(ct->mark);
#endif
	nf_reset_ct(skb);
	if (first.hook == NF_INET_FORWARD)
		first.hook = NF_INET_PRE_ROUTING; /* where it was tracked */
	hook = tracker(state->net, first.hook);
	if (!hook)
		return true;
	if (zone.id != NF_CT_DEFAULT_ZONE_ID && !set_zone(skb, state->net, &zone))
		return false;
	if (hook(NULL, skb, &first) != NF_ACCEPT)
		return false;
#ifdef CONFIG_NF_CONNTRACK_MARK
	ct = connection(skb);
	if (ct && !nf_ct_is_confirmed(ct))
		WRITE_ONCE(ct->mark, mark);
#endif
	return true;
}

/*
 * As nf_queue: another packet of the same connection may have confirmed it meanwhile, and this
 * one had its own until then.
 */
static bool update(struct sk_buff *skb, struct net *net)
{
	const struct nf_ct_hook *hook = rcu_dereference(nf_ct_hook);

	if (!hook)
		return true;
	return divert_ct_updated(hook->update(net, skb));
}

/* A packet is given back at this hook. False: connection tracking would have it dropped. */
bool divert_conntrack_again(struct sk_buff *skb, const struct nf_hook_state *state, bool changed)
{
	const struct nf_conn *ct = connection(skb);

	if (likely(!ct) || nf_ct_is_template(ct))
		return true;
	if (changed)
		return track(skb, state);
	return nf_ct_is_confirmed(ct) || update(skb, state->net);
}
