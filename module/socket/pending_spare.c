// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries that are free, a few of each processor: one goes for each that comes, long after the
 * next have come, which is the allocator's slow way. Not with KASAN, which wants to see who uses
 * one that has gone.
 */
#include <linux/bottom_half.h>
#include <linux/percpu.h>
#include <linux/spinlock.h> /* local_lock.h uses its types with PREEMPT_RT */

#include <linux/local_lock.h>

#include "socket.h"

#define MOST (IS_ENABLED(CONFIG_KASAN) ? 0 : 64)

struct spares {
	local_lock_t lock; /* with bottom halves off */
	struct hlist_head list;
	unsigned int count;
};

static DEFINE_PER_CPU(struct spares, all_spares) = {
	.lock = INIT_LOCAL_LOCK(lock),
};

static struct divert_pending *take(struct spares *spares)
{
	struct hlist_node *first = spares->list.first;

	if (!first)
		return NULL;
	__hlist_del(first);
	spares->count--;
	return hlist_entry(first, struct divert_pending, by_id);
}

/* One, as it was left; NULL: none is left. With bottom halves off. */
struct divert_pending *divert_spare_get(void)
{
	struct divert_pending *p;

	local_lock(&all_spares.lock);
	p = take(this_cpu_ptr(&all_spares));
	local_unlock(&all_spares.lock);
	return p;
}

/* False: there are enough of them. */
bool divert_spare_put(struct divert_pending *p)
{
	struct spares *spares;
	bool kept;

	local_bh_disable();
	local_lock(&all_spares.lock);
	spares = this_cpu_ptr(&all_spares);
	kept = spares->count < MOST;
	if (kept) {
		hlist_add_head(&p->by_id, &spares->list);
		spares->count++;
	}
	local_unlock(&all_spares.lock);
	local_bh_enable();
	return kept;
}

/* One of any processor, when nobody gets or puts any. */
struct divert_pending *divert_spare_any(void)
{
	struct divert_pending *p;
	int cpu;

	for_each_possible_cpu(cpu) {
		p = take(per_cpu_ptr(&all_spares, cpu));
		if (p)
			return p;
	}
	return NULL;
}
