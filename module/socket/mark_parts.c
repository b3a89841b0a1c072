// SPDX-License-Identifier: GPL-2.0-only
/*
 * T1 where datagrams are put together: the whole has been injected only if all of its parts
 * were, through one port. While they wait in the stack's queue of fragments they lose all that
 * could say so; here are notes of injected parts, by what that queue goes by.
 *
 * A whole is spared only if they are all of its bytes, each once. So whatever a note does not
 * know of (parts of the wire that came before it, or while there was no room for it) has the
 * datagram taken.
 */
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <net/ip.h>

#include "socket.h"

#define MOST 4096

struct part_key {
	__be32 saddr;
	__be32 daddr;
	u32 user; /* who puts it together */
	__be16 id;
	u8 protocol;
	u8 unused;
};

struct part_note {
	struct list_head list; /* the newest first */
	struct part_key key;
	struct divert_mark mark; /* port 0: not all of them, or not by one port */
	unsigned int bytes;      /* of data, in all parts */
	unsigned long since;     /* jiffies */
};

static struct part_key key_of(const struct sk_buff *skb, u32 user)
{
	const struct iphdr *iph = ip_hdr(skb);

	return (struct part_key){
		.saddr = iph->saddr,
		.daddr = iph->daddr,
		.user = user,
		.id = iph->id,
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
	WRITE_ONCE(ports->part_count, ports->part_count - 1);
	kfree(note);
}

static struct part_note *find(struct divert_ports *ports, const struct part_key *key)
{
	struct part_note *note;

	list_for_each_entry(note, bucket_of(ports, key), list)
		if (!memcmp(&note->key, key, sizeof(*key)))
			return note;
	return NULL;
}

/* As long as the stack's queues of fragments. */
static unsigned long lifetime(const struct divert_ports *ports)
{
	return READ_ONCE(ports->net->ipv4.fqdir->timeout);
}

static void remove_old(struct work_struct *work)
{
	struct divert_ports *ports =
		container_of(to_delayed_work(work), struct divert_ports, parts_old);
	unsigned long age = lifetime(ports);
	struct part_note *note, *next;
	int i;

	spin_lock_bh(&ports->parts_lock);
	for (i = 0; i < 1 << DIVERT_PART_BITS; i++)
		list_for_each_entry_safe(note, next, &ports->parts[i], list)
			if (!time_before(jiffies, note->since + age))
				remove(ports, note);
	if (ports->part_count)
		schedule_delayed_work(&ports->parts_old, age);
	spin_unlock_bh(&ports->parts_lock);
}

static unsigned int data_of(const struct sk_buff *skb)
{
	return ntohs(ip_hdr(skb)->tot_len) - ip_hdrlen(skb);
}

/* Room for one more, maybe in the place of another; those of another bucket have to get old. */
static bool has_room(struct divert_ports *ports, struct list_head *bucket)
{
	if (ports->part_count >= MOST && !list_empty(bucket))
		remove(ports, list_last_entry(bucket, struct part_note, list));
	return ports->part_count < MOST;
}

static struct part_note *add(struct divert_ports *ports, const struct part_key *key,
			     const struct divert_mark *mark)
{
	struct part_note *note = NULL;

	if (has_room(ports, bucket_of(ports, key)))
		note = kmalloc(sizeof(*note), GFP_ATOMIC | __GFP_NOWARN);
	if (!note)
		return NULL;
	note->key = *key;
	note->since = jiffies;
	note->mark = *mark;
	note->bytes = 0;
	list_add(&note->list, bucket_of(ports, key));
	WRITE_ONCE(ports->part_count, ports->part_count + 1);
	schedule_delayed_work(&ports->parts_old, lifetime(ports));
	return note;
}

/*
 * This part is about to wait for the others; mark is NULL of one that was not injected. Called
 * with bottom halves off.
 */
void divert_part_note(struct net *net, const struct sk_buff *skb, u32 user,
		      const struct divert_mark *mark)
{
	struct divert_ports *ports = divert_ports(net);
	struct part_key key = key_of(skb, user);
	struct part_note *note;

	if (!mark && !READ_ONCE(ports->part_count))
		return;
	spin_lock(&ports->parts_lock);
	note = find(ports, &key);
	if (!note && mark)
		note = add(ports, &key, mark);
	if (!note)
		goto out;
	note->bytes += data_of(skb);
	if (!mark || mark->port != note->mark.port)
		note->mark = (struct divert_mark){ 0 };
	else if (mark->hook != note->mark.hook || mark->rule != note->mark.rule)
		note->mark.hook = 0;
out:
	spin_unlock(&ports->parts_lock);
}

/* The datagram is whole; false, and no mark, if it was not injected as such. */
bool divert_part_whole(struct net *net, const struct sk_buff *skb, u32 user,
		       struct divert_mark *mark)
{
	struct divert_ports *ports = divert_ports(net);
	struct part_key key = key_of(skb, user);
	struct part_note *note;

	*mark = (struct divert_mark){ 0 };
	if (!READ_ONCE(ports->part_count))
		return false;
	spin_lock(&ports->parts_lock);
	note = find(ports, &key);
	if (note) {
		if (note->bytes == data_of(skb))
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
	INIT_DELAYED_WORK(&ports->parts_old, remove_old);
	ports->part_seed = get_random_u32();
	for (i = 0; i < 1 << DIVERT_PART_BITS; i++)
		INIT_LIST_HEAD(&ports->parts[i]);
}

/* No packet comes here any more. */
void divert_parts_exit(struct divert_ports *ports)
{
	struct part_note *note, *next;
	int i;

	cancel_delayed_work_sync(&ports->parts_old);
	for (i = 0; i < 1 << DIVERT_PART_BITS; i++)
		list_for_each_entry_safe(note, next, &ports->parts[i], list)
			remove(ports, note);
}
