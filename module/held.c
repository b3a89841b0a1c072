// SPDX-License-Identifier: GPL-2.0-only
/*
 * The connections of packets that have been taken. What was tracked before its
 * chain (behind PRE_ROUTING, or on the loopback) has a pointer to its connection,
 * which no program can give back; but NAT, behind the chains, does nothing
 * without it, and a connection that no packet has confirmed is only there as long as
 * somebody holds it. So it is held here, for the packet that is given back.
 *
 * It is found by the addresses and ports of the packet: they are those of one
 * connection, whichever of its packets it was. Not by the tag, where there is no
 * room; so a packet whose ends the program has changed is tracked no more.
 *
 * Connection tracking waits for all connections before it is unloaded, so none
 * is held for long.
 */
#include <linux/icmp.h>
#include <linux/jhash.h>
#include <linux/slab.h>
#include <net/netfilter/nf_conntrack.h>

#include "socket.h"

#define HOLD	(30 * HZ)
#define MOST	4096

struct held_key {
	__be32	saddr;
	__be32	daddr;
	u32	ends;		/* ports, or what tells connections of ICMP */
	u16	hook;
	u16	protocol;
};

struct held {
	struct hlist_node	node;
	struct list_head	age;
	struct held_key		key;
	unsigned long		nfct;	/* as of struct sk_buff */
	unsigned long		since;	/* jiffies */
};

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

static struct held_key key_of(const struct sk_buff *skb, u8 hook)
{
	const struct iphdr *iph = ip_hdr(skb);
	struct held_key key = {
		.saddr = iph->saddr, .daddr = iph->daddr,
		.hook = hook, .protocol = iph->protocol,
	};

	switch (iph->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		skb_copy_bits(skb, iph->ihl * 4, &key.ends, sizeof(key.ends));
		break;
	case IPPROTO_ICMP:
		key.ends = icmp_ends(skb, iph->ihl * 4);
		break;
	}
	return key;
}

static struct hlist_head *held_bucket(struct divert_held *all, const struct held_key *key)
{
	u32 hash = jhash2((const u32 *)key, sizeof(*key) / sizeof(u32), 0);

	return &all->table[hash & ((1 << DIVERT_HELD_BITS) - 1)];
}

static struct nf_conntrack *connection(unsigned long nfct)
{
	return (struct nf_conntrack *)(nfct & NFCT_PTRMASK);
}

/* Until a first packet has confirmed it, one packet alone may have a connection. */
static bool is_shared(unsigned long nfct)
{
	const struct nf_conn *ct = (const struct nf_conn *)connection(nfct);

	return !ct || nf_ct_is_confirmed(ct);
}

/* One for all packets, or else the first of those that are for one packet. */
static struct held *find(struct hlist_head *head, const struct held_key *key)
{
	struct held *held, *found = NULL;

	hlist_for_each_entry(held, head, node) {
		if (memcmp(&held->key, key, sizeof(*key)))
			continue;
		if (is_shared(held->nfct))
			return held;
		found = held;
	}
	return found;
}

static void remove(struct divert_held *all, struct held *held)
{
	hlist_del(&held->node);
	list_del(&held->age);
	all->count--;
}

static void add(struct divert_held *all, struct held *held)
{
	hlist_add_head(&held->node, held_bucket(all, &held->key));
	list_add_tail(&held->age, &all->ages);
	all->count++;
	held->since = jiffies;
	schedule_delayed_work(&all->expire, HOLD);
}

static void release(struct held *held)
{
	nf_conntrack_put(connection(held->nfct));
	kfree(held);
}

/* Makes this the newest; returns what is to be released instead, if anything. */
static struct held *keep(struct divert_held *all, struct held *held)
{
	struct held *old = find(held_bucket(all, &held->key), &held->key);

	if (old && old->nfct != held->nfct && !(is_shared(old->nfct) && is_shared(held->nfct)))
		old = NULL;
	if (!old && all->count >= MOST)
		old = list_first_entry(&all->ages, struct held, age);
	if (old)
		remove(all, old);
	add(all, held);
	return old;
}

/* A packet is taken: the processor's bottom halves are off. */
void divert_hold(struct net *net, const struct sk_buff *skb, u8 hook)
{
	struct divert_held *all = &divert_ports(net)->held;
	unsigned long nfct = skb_get_nfct(skb);
	struct held *held, *old;

	if (likely(!nfct))
		return;
	held = kmalloc(sizeof(*held), GFP_ATOMIC | __GFP_NOWARN);
	if (!held)
		return;
	held->key = key_of(skb, hook);
	held->nfct = nfct;
	nf_conntrack_get(connection(nfct));
	spin_lock(&all->lock);
	old = keep(all, held);
	spin_unlock(&all->lock);
	if (old)
		release(old);
}

/*
 * A packet is given back: bottom halves are off here, too. What is returned is
 * for divert_attached(), when the packet is on its way.
 */
struct held *divert_attach(struct net *net, struct sk_buff *skb, u8 hook)
{
	struct divert_held *all = &divert_ports(net)->held;
	struct held_key key;
	struct held *held;

	if (likely(!READ_ONCE(all->count)))
		return NULL;
	key = key_of(skb, hook);
	spin_lock(&all->lock);
	held = find(held_bucket(all, &key), &key);
	if (held) {
		nf_conntrack_get(connection(held->nfct));
		skb_set_nfct(skb, held->nfct);
		if (is_shared(held->nfct))
			held = NULL;
		else
			remove(all, held);
	}
	spin_unlock(&all->lock);
	return held;
}

/* If that packet has confirmed its connection, others that were taken are of it. */
void divert_attached(struct net *net, struct held *held)
{
	struct divert_held *all = &divert_ports(net)->held;

	if (likely(!held))
		return;
	if (is_shared(held->nfct)) {
		spin_lock(&all->lock);
		held = keep(all, held);
		spin_unlock(&all->lock);
	}
	if (held)
		release(held);
}

static void let_go(struct divert_held *all, unsigned long age)
{
	struct held *held, *next;
	LIST_HEAD(gone);

	spin_lock_bh(&all->lock);
	list_for_each_entry_safe(held, next, &all->ages, age) {
		if (time_before(jiffies, held->since + age))
			break;
		remove(all, held);
		list_add(&held->age, &gone);
	}
	if (all->count)
		schedule_delayed_work(&all->expire, HOLD);
	spin_unlock_bh(&all->lock);
	list_for_each_entry_safe(held, next, &gone, age)
		release(held);
}

static void expire(struct work_struct *work)
{
	let_go(container_of(to_delayed_work(work), struct divert_held, expire), HOLD);
}

void divert_held_init(struct divert_held *all)
{
	spin_lock_init(&all->lock);
	INIT_LIST_HEAD(&all->ages);
	INIT_DELAYED_WORK(&all->expire, expire);
}

/* Nothing is taken any more. */
void divert_held_exit(struct divert_held *all)
{
	let_go(all, 0);
	cancel_delayed_work_sync(&all->expire);
}
