/* SPDX-License-Identifier: GPL-2.0-only */
/* Kept packets (M8), as module/include/linux/divert.h has them, for the C library of the guest. */
#ifndef KEPT_H
#define KEPT_H

#include <netinet/in.h>
#include <stdint.h>

#define SOL_DIVERT     254
#define DIVERT_KEEP    1
#define DIVERT_TOLD    1
#define DIVERT_READ    2
#define DIVERT_VERDICT 2
#define DIVERT_ACCEPT  1

struct verdict {
	uint32_t verdict, first, last;
};

/* The number of a packet that is kept, from the address that it came with. */
static inline uint32_t kept_number(const struct sockaddr_in *from)
{
	const unsigned char *byte = (const unsigned char *)from;

	return (uint32_t)byte[11] << 24 | (uint32_t)byte[12] << 16 | (uint32_t)byte[13] << 8 |
	       byte[14];
}

#endif
