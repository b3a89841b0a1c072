/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What divert sockets of this module have besides those of Linux 2.2 (M8 of
 * docs/SPEC.md): packets that have been read may be kept in the kernel.
 */
#ifndef _LINUX_DIVERT_H
#define _LINUX_DIVERT_H

#include <linux/types.h>

/* Level, and names, of socket options. */
#define SOL_DIVERT     254
#define DIVERT_KEEP    1 /* int: 0, or one of these */
#define DIVERT_TOLD    1 /* keep what is read, until told more */
#define DIVERT_READ    2 /* the same; or it goes on at the next read */
#define DIVERT_VERDICT 2 /* struct divert_verdict */

/* For all kept packets from first to last, as they were read. */
struct divert_verdict {
	__u32 verdict;
#define DIVERT_DROP   0
#define DIVERT_ACCEPT 1 /* it goes on as it was */
	__u32 first, last;
};

/*
 * The number of a packet, from the address that it was received with: the first is 0.
 * sin is a struct sockaddr_in *.
 */
#define DIVERT_NUMBER(sin)                                                                 \
	((__u32)((const __u8 *)(sin))[11] << 24 | (__u32)((const __u8 *)(sin))[12] << 16 | \
	 (__u32)((const __u8 *)(sin))[13] << 8 | ((const __u8 *)(sin))[14])

#endif /* _LINUX_DIVERT_H */
