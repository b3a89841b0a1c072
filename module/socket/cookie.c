// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag (S6): which packet it is, in the ten bytes that IP leaves free in a sockaddr_in. What
 * the kernel knew of it stays in the kernel (pending.c).
 *
 * Its check value has 40 bits and a secret of the network namespace, so that nobody can make one
 * up. It covers the address, so that "given back with the address it was received with" is part of
 * it, and all of the packet's id, of which the tag has the lower half: an old tag is not taken for
 * a new one when that comes round. That of a kept packet (M8) has only to tell it from rubbish:
 * without any tag a program can say what becomes of what its socket keeps.
 *
 *	sin_port	check, upper 16 of 40 bits
 *	sin_zero[0]	kind, never 0
 *	sin_zero[1..2]	check
 *	sin_zero[3..6]	the lower half of the packet's id; of one that is kept (M8) its number
 *	sin_zero[7]	check, lower 8 bits
 */
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/siphash.h>

#include "socket.h"

#define KIND_KEPT    0x04
#define KIND_PENDING 0x08
#define CHECK_MASK   ((1ULL << 40) - 1)

void divert_cookie_init(struct divert_ports *ports)
{
	get_random_bytes(&ports->key, sizeof(ports->key));
	ports->kept_seed = get_random_u32();
}

u64 divert_cookie_check(const struct divert_ports *ports, __be32 addr, u64 id)
{
	return siphash_2u64((__force u32)addr, id, &ports->key) & CHECK_MASK;
}

static u32 check_of_kept(const struct divert_ports *ports, __be32 addr, u32 number)
{
	return jhash_2words((__force u32)addr, number, ports->kept_seed);
}

/* All of the address; number: the lower half of an id, or M8's. */
static void write(struct sockaddr_in *sin, u8 kind, __be32 addr, u32 number, u64 check)
{
	u8 *z = (u8 *)sin->__pad;

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = addr;
	sin->sin_port = htons(check >> 24);
	z[0] = kind;
	put_unaligned_be16(check >> 8, z + 1);
	put_unaligned_be32(number, z + 3);
	z[7] = check;
}

void divert_cookie_write(struct sockaddr_in *sin, const struct divert_pending *p)
{
	write(sin, KIND_PENDING, p->addr, p->id, p->check);
}

void divert_cookie_write_kept(const struct divert_ports *ports, struct sockaddr_in *sin,
			      __be32 addr, u32 number)
{
	write(sin, KIND_KEPT, addr, number, check_of_kept(ports, addr, number));
}

/* Of one that is pending the check is still to be compared, with that of the packet. */
void divert_cookie_read(const struct divert_ports *ports, const struct sockaddr_in *sin,
			struct divert_cookie *cookie)
{
	const u8 *z = (const u8 *)sin->__pad;

	cookie->kind = DIVERT_COOKIE_NONE;
	cookie->number = get_unaligned_be32(z + 3);
	cookie->check = (u64)ntohs(sin->sin_port) << 24 | get_unaligned_be16(z + 1) << 8 | z[7];
	if (z[0] == KIND_PENDING)
		cookie->kind = DIVERT_COOKIE_PENDING;
	else if (z[0] == KIND_KEPT &&
		 check_of_kept(ports, sin->sin_addr.s_addr, cookie->number) == cookie->check)
		cookie->kind = DIVERT_COOKIE_KEPT;
}
