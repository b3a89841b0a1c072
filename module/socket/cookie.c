// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag (S6): which packet it is, in the ten bytes that IP leaves free in a sockaddr_in. What
 * the kernel knew of it stays in the kernel (pending.c).
 *
 * Its check value has 40 bits and a secret, so that nobody can make one up. It covers the
 * address, so that "given back with the address it was received with" is part of it, the
 * network namespace, and all of the packet's id, of which the tag has the lower half: an old
 * tag is not taken for a new one when that comes round.
 *
 *	sin_port	check, upper 16 of 40 bits
 *	sin_zero[0]	kind, never 0
 *	sin_zero[1..2]	check
 *	sin_zero[3..6]	the lower half of the packet's id; of one that is kept (M8) its number
 *	sin_zero[7]	check, lower 8 bits
 */
#include <linux/once.h>
#include <linux/siphash.h>

#include "socket.h"

#define KIND_KEPT    0x04
#define KIND_PENDING 0x08
#define CHECK_MASK   ((1ULL << 40) - 1)

static siphash_key_t key __read_mostly;

static u64 check_of(const struct net *net, u8 kind, __be32 addr, u64 id)
{
	net_get_random_once(&key, sizeof(key));
	return siphash_3u64(net->net_cookie, (u64)kind << 32 | (__force u32)addr, id, &key) &
	       CHECK_MASK;
}

/* All of the address; id: of which the tag has the lower half, or M8's number. */
static void write(const struct net *net, struct sockaddr_in *sin, u8 kind, __be32 addr, u64 id)
{
	u64 check = check_of(net, kind, addr, id);
	u8 *z = (u8 *)sin->__pad;

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = addr;
	sin->sin_port = htons(check >> 24);
	z[0] = kind;
	put_unaligned_be16(check >> 8, z + 1);
	put_unaligned_be32(id, z + 3);
	z[7] = check;
}

void divert_cookie_write(const struct net *net, struct sockaddr_in *sin, __be32 addr, u64 id)
{
	write(net, sin, KIND_PENDING, addr, id);
}

void divert_cookie_write_kept(const struct net *net, struct sockaddr_in *sin, __be32 addr,
			      u32 number)
{
	write(net, sin, KIND_KEPT, addr, number);
}

/* Of one that is pending the check is still to be compared: divert_cookie_is(). */
void divert_cookie_read(const struct net *net, const struct sockaddr_in *sin,
			struct divert_cookie *cookie)
{
	const u8 *z = (const u8 *)sin->__pad;

	cookie->kind = DIVERT_COOKIE_NONE;
	cookie->number = get_unaligned_be32(z + 3);
	cookie->check = (u64)ntohs(sin->sin_port) << 24 | get_unaligned_be16(z + 1) << 8 | z[7];
	if (z[0] == KIND_PENDING)
		cookie->kind = DIVERT_COOKIE_PENDING;
	else if (z[0] == KIND_KEPT &&
		 check_of(net, KIND_KEPT, sin->sin_addr.s_addr, cookie->number) == cookie->check)
		cookie->kind = DIVERT_COOKIE_KEPT;
}

bool divert_cookie_is(const struct net *net, const struct divert_cookie *cookie, __be32 addr,
		      u64 id)
{
	return (u32)id == cookie->number && check_of(net, KIND_PENDING, addr, id) == cookie->check;
}
