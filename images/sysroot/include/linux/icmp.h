/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_ICMP_H
#define _SYSROOT_LINUX_ICMP_H

#include <linux/types.h>
#include <netinet/ip_icmp.h>

/* Socket option of a raw ICMP socket: one bit a type that it does not want. */
#define ICMP_FILTER	1

struct icmp_filter {
	__u32 data;
};

#endif
