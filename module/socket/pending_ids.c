// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is pending, by its id. Ids are given out one after the other, so their lower bits spread
 * them evenly over a table of any size. It grows with what is pending, and is never shrunk.
 *
 * An xarray, which was here before, costs several times as much: what comes and goes in order makes
 * and frees its nodes again and again.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>

#include "socket.h"

#define MOST_BITS 15
#define GROWTH    2 /* bits at a time */

void divert_ids_init(struct divert_ids *ids)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids->first); i++)
		INIT_HLIST_HEAD(&ids->first[i]);
	ids->table = ids->first;
	ids->bits = DIVERT_IDS_BITS;
	ids->again = jiffies;
}

void divert_ids_exit(struct divert_ids *ids)
{
	if (ids->table != ids->first)
		kfree(ids->table);
}

static struct hlist_head *bucket_of(struct hlist_head *table, unsigned int bits, u32 id)
{
	return &table[id & ((1U << bits) - 1)];
}

/* Under the lock. The lower half of an id tells all that are pending apart. */
struct divert_pending *divert_ids_find(const struct divert_ids *ids, u32 id)
{
	struct divert_pending *p;

	hlist_for_each_entry(p, bucket_of(ids->table, ids->bits, id), by_id)
		if ((u32)p->id == id)
			return p;
	return NULL;
}

void divert_ids_add(struct divert_ids *ids, struct divert_pending *p)
{
	hlist_add_head(&p->by_id, bucket_of(ids->table, ids->bits, p->id));
}

/* Under the lock. The old table, if it is to be freed. */
static struct hlist_head *move(struct divert_ids *ids, struct hlist_head *table, unsigned int bits)
{
	struct hlist_head *old = ids->table;
	struct divert_pending *p;
	struct hlist_node *next;
	unsigned int i;

	for (i = 0; i < 1U << ids->bits; i++)
		hlist_for_each_entry_safe(p, next, &old[i], by_id)
		{
			hlist_del(&p->by_id);
			hlist_add_head(&p->by_id, bucket_of(table, bits, p->id));
		}
	ids->table = table;
	ids->bits = bits;
	return old == ids->first ? NULL : old;
}

/* Under the lock: how many bits there should be, for divert_ids_grow(); 0: as it is. */
unsigned int divert_ids_wanted(const struct divert_ids *ids, unsigned int count)
{
	if (likely(count <= 1U << ids->bits) || ids->bits == MOST_BITS ||
	    time_before(jiffies, ids->again))
		return 0;
	return ids->bits + GROWTH;
}

/*
 * In a process, which pays for the memory. Without memory it stays as it is, and finding takes
 * longer: nobody is killed for it, and it is a second until the next try.
 */
void divert_ids_grow(struct divert_ports *ports, unsigned int bits)
{
	struct divert_ids *ids = &ports->ids;
	struct hlist_head *table = kcalloc(1U << bits, sizeof(*table),
					   GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);

	spin_lock_bh(&ports->pending_lock);
	if (!table)
		ids->again = jiffies + HZ;
	else if (bits > ids->bits)
		table = move(ids, table, bits);
	spin_unlock_bh(&ports->pending_lock);
	kfree(table);
}
