// SPDX-License-Identifier: GPL-2.0-only
/*
 * T1 where datagrams are put together: the whole has been injected only if all of its parts were,
 * through one port. While they wait in the stack's queue of fragments they lose all that could say
 * so; here are notes, by what that queue goes by. A note that is older than its queue makes no
 * harm: it can only have a datagram taken that would have been spared.
 */
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/ip.h>

#include "socket.h"

#define MOST	4096
#define OLD	(30 * HZ)		/* as the stack's queues */

struct part_key {
	__be32	saddr;
	__be32	daddr;
	u32	user;			/* who puts it together */
	__be16	id;
	u8	protocol;
	u8	unused;
};

struct part_note {
	struct list_head	list;		/* the newest first */
	struct part_key		key;
	struct divert_mark	mark;		/* port 0: not all of them, or not by one port */
	unsigned long		since;		/* jiffies */
};

static struct part_key key_of(const struct sk_buff *skb, u32 user)
{
	const struct iphdr *iph = ip_hdr(skb);

	return (struct part_key){
		.saddr = iph->saddr, .daddr = iph->daddr, .user = user, .id = iph->id,
		.protocol = iph->protocol,
	};
}

static struct list_head *bucket_of(struct divert_ports *ports, const struct part_key *key)
{
	u32 hash = jhash2((const u32 *)key, sizeof(*key) / sizeof(u32), ports->part_seed);

	return &ports->parts[hash & ((1 << DIVERT_PART_BITS) - 1)];
}

static void remove(struct divert_ports *ports, struct part_note *note)
{
	list_del(&note->list);
	ports->part_count--;
	kfree(note);
}

/* What is too old is removed on the way. */
static struct part_note *find(struct divert_ports *ports, const struct part_key *key)
{
	struct part_note *note, *next, *found = NULL;

	list_for_each_entry_safe(note, next, bucket_of(ports, key), list) {
		if (time_after(jiffies, note->since + OLD))
			remove(ports, note);
		else if (!memcmp(&note->key, key, sizeof(*key)))
			found = note;
	}
	return found;
}

/* Room for one more; those of another bucket have to get old. */
static bool has_room(struct divert_ports *ports, struct list_head *bucket)
{
	if (ports->part_count >= MOST && !list_empty(bucket))
		remove(ports, list_last_entry(bucket, struct part_note, list));
	return ports->part_count < MOST;
}

/*
 * This part is about to wait for the others; mark is NULL of one that was not injected. Called
 * with bottom halves off. Without memory for a note there is none, and the whole counts as not
 * injected.
 */
void divert_part_note(struct net *net, const struct sk_buff *skb, u32 user,
		      const struct divert_mark *mark)
{
	struct divert_ports *ports = divert_ports(net);
	struct part_key key = key_of(skb, user);
	struct part_note *note;

	spin_lock(&ports->parts_lock);
	note = find(ports, &key);
	if (!note) {
		if (has_room(ports, bucket_of(ports, &key)))
			note = kmalloc(sizeof(*note), GFP_ATOMIC | __GFP_NOWARN);
		if (!note)
			goto out;
		note->key = key;
		note->since = jiffies;
		note->mark = mark ? *mark : (struct divert_mark){ 0 };
		list_add(&note->list, bucket_of(ports, &key));
		ports->part_count++;
	} else if (!mark || mark->port != note->mark.port) {
		note->mark = (struct divert_mark){ 0 };
	} else if (mark->hook != note->mark.hook || mark->rule != note->mark.rule) {
		note->mark.hook = 0;
	}
out:
	spin_unlock(&ports->parts_lock);
}

/* The datagram is whole; false if it was not injected as such. */
bool divert_part_whole(struct net *net, const struct sk_buff *skb, u32 user,
		       struct divert_mark *mark)
{
	struct divert_ports *ports = divert_ports(net);
	struct part_key key = key_of(skb, user);
	struct part_note *note;

	*mark = (struct divert_mark){ 0 };
	spin_lock(&ports->parts_lock);
	note = find(ports, &key);
	if (note) {
		*mark = note->mark;
		remove(ports, note);
	}
	spin_unlock(&ports->parts_lock);
	return mark->port;
}

void divert_parts_init(struct divert_ports *ports)
{
	int i;

	spin_lock_init(&ports->parts_lock);
	ports->part_seed = get_random_u32();
	for (i = 0; i < 1 << DIVERT_PART_BITS; i++)
		INIT_LIST_HEAD(&ports->parts[i]);
}

/* No packet comes here any more. */
void divert_parts_exit(struct divert_ports *ports)
{
	struct part_note *note, *next;
	int i;

	for (i = 0; i < 1 << DIVERT_PART_BITS; i++)
		list_for_each_entry_safe(note, next, &ports->parts[i], list)
			remove(ports, note);
}
