// SPDX-License-Identifier: GPL-2.0-only
/*
 * Into the middle of a hook. What hangs before the module's own function has
 * seen the packet when it was taken, or as the whole that it is a part of, and
 * does not see it again.
 */
#include <linux/netfilter.h>
#include <net/net_namespace.h>

#include "socket.h"

static const struct nf_hook_entries *entries_of(const struct nf_hook_state *state)
{
	return rcu_dereference(state->net->nf.hooks_ipv4[state->hook]);
}

/* Where the module's function is; -1 if it has just been removed. */
static int place_of_ours(const struct nf_hook_entries *entries, const void *place)
{
	int i;

	for (i = 0; i < entries->num_hook_entries; i++)
		if (entries->hooks[i].priv == place)
			return i;
	return -1;
}

/* Nobody comes behind us there, and so nobody can let a packet wait. */
bool divert_is_last(const struct nf_hook_state *state)
{
	const struct nf_hook_entries *entries = entries_of(state);

	return !entries || place_of_ours(entries, DIVERT_PLACE) == entries->num_hook_entries - 1;
}

/*
 * As nf_hook(): 1 if the packet goes on to state->okfn(), which is not called
 * here; else it is gone. Called under RCU.
 */
int divert_resume_at(struct sk_buff *skb, struct nf_hook_state *state)
{
	const struct nf_hook_entries *entries = entries_of(state);

	return entries ? nf_hook_slow(skb, state, entries,
				      max(place_of_ours(entries, DIVERT_PLACE), 0)) :
			 1;
}

int divert_resume_behind(struct sk_buff *skb, struct nf_hook_state *state, const void *place)
{
	const struct nf_hook_entries *entries = entries_of(state);
	int next = entries ? place_of_ours(entries, place) + 1 : 0;

	return entries && next < entries->num_hook_entries ?
		       nf_hook_slow(skb, state, entries, next) :
		       1;
}
