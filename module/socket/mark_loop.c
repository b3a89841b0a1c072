// SPDX-License-Identifier: GPL-2.0-only
/*
 * T1 of the copies of an injected multicast or broadcast that are looped back to this host. A
 * copy waits for another soft interrupt, maybe of another processor, and keeps nothing but its
 * route. So it gets one of its own; IP clones that once more on its way. What a clone has is
 * all that can tell. There the path MTU has a value that no path MTU can have, and that nobody
 * looks at: it is one that has expired.
 */
#include <net/dst_metadata.h>
#include <net/ip.h>
#include <net/route.h>

#include "socket.h"

#define MARKED 0x40000000U /* and the port */

/* This copy is on its way back to this host. Without memory it can be taken once more. */
void divert_loop_mark(struct sk_buff *skb, const struct divert_mark *mark)
{
	struct rtable *rt;

	if (!mark->port)
		return;
	rt = divert_route_copy(skb_rtable(skb));
	if (!rt)
		return;
	rt->rt_pmtu = MARKED | mark->port;
	rt->dst.expires = 0;
	skb_dst_drop(skb);
	skb_dst_set(skb, &rt->dst);
}

/* It has come back. */
bool divert_loop_marked(const struct sk_buff *skb, struct divert_mark *mark)
{
	const struct rtable *rt = skb_rtable(skb);

	if (likely(!skb_valid_dst(skb)) || !(rt->rt_pmtu & MARKED))
		return false;
	*mark = (struct divert_mark){ .port = rt->rt_pmtu };
	return true;
}
