// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag (S6): where a packet was taken, in the ten bytes that IP leaves free
 * in a sockaddr_in. The check value covers the address too, so that "given
 * back with the address it was received with" is one comparison. It keeps out
 * rubbish and stale stack contents, and need not keep out more: who may send here
 * may inject without a tag.
 *
 * But who may not inject as received (M12) may give back what was taken on input, if source
 * and destination are as they were. The tags of such a socket are bound: their check
 * value covers these two, too, and is made with a secret that cannot be found out. It has
 * 24 bits all the same; right.c sees to it that nobody tries many.
 *
 *	sin_port	check, upper 16 of 24 bits
 *	sin_zero[0]	what, never 0
 *	sin_zero[1..3]	interface
 *	sin_zero[4..6]	rule
 *	sin_zero[7]	check, lower 8 bits
 *
 * Of a packet that is kept (M8) interface and rule stay here; in their places is
 * its number, its upper 8 bits in the last byte of the interface's.
 */
#include <linux/jhash.h>
#include <linux/once.h>
#include <linux/random.h>
#include <linux/siphash.h>

#include "socket.h"

static u32 key __read_mostly;
static siphash_key_t bound_key __read_mostly;

static u32 check_of(__be32 addr, const struct divert_tag *tag)
{
	net_get_random_once(&key, sizeof(key));
	return jhash_3words((__force u32)addr, tag->rule | (u32)tag->what << 24,
			    tag->ifindex, key) & 0xffffff;
}

static u32 bound_check_of(__be32 addr, const struct divert_tag *tag, const struct iphdr *iph)
{
	net_get_random_once(&bound_key, sizeof(bound_key));
	return siphash_3u64((u64)(__force u32)addr << 32 | tag->ifindex,
			    (u64)tag->what << 32 | tag->rule,
			    (u64)(__force u32)iph->saddr << 32 | (__force u32)iph->daddr,
			    &bound_key) & 0xffffff;
}

bool divert_tag_is_bound(const struct divert_tag *tag)
{
	return (tag->what & DIVERT_TAG_HOOK) == DIVERT_INPUT && tag->what & DIVERT_TAG_BOUND;
}

/* iph: of the packet, for a tag that is bound. */
void divert_tag_write(struct sockaddr_in *sin, const struct divert_tag *tag,
		      const struct iphdr *iph)
{
	__be32 addr = sin->sin_addr.s_addr;
	u32 check = divert_tag_is_bound(tag) ? bound_check_of(addr, tag, iph) :
					       check_of(addr, tag);
	u8 *z = (u8 *)sin->__pad;

	sin->sin_port = htons(check >> 8);
	z[0] = tag->what;
	put_unaligned_be24(tag->ifindex, z + 1);
	put_unaligned_be24(tag->rule, z + 4);
	z[7] = check;
}

/* Of one that is bound the packet tells later whether it holds. */
bool divert_tag_read(const struct sockaddr_in *sin, struct divert_tag *tag)
{
	const u8 *z = (const u8 *)sin->__pad;

	tag->what = z[0];
	tag->ifindex = get_unaligned_be24(z + 1);
	tag->rule = get_unaligned_be24(z + 4);
	tag->check = (u32)ntohs(sin->sin_port) << 8 | z[7];
	tag->known = false;
	return divert_tag_is_bound(tag) ||
	       ((tag->what & DIVERT_TAG_HOOK || tag->what == DIVERT_TAG_KEPT) &&
		check_of(sin->sin_addr.s_addr, tag) == tag->check);
}

bool divert_tag_holds(const struct divert_tag *tag, __be32 addr, const struct iphdr *iph)
{
	return bound_check_of(addr, tag, iph) == tag->check;
}
