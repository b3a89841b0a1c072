/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IP_H
#define _SYSROOT_LINUX_IP_H

#include <linux/types.h>
#include <asm/byteorder.h>
#include <netinet/ip.h>

/* What the kernel makes of a packet's options, and programs may have borrowed. */
struct ip_options {
	__u32 faddr;
	unsigned char optlen;
	unsigned char srr;
	unsigned char rr;
	unsigned char ts;
	unsigned char is_setbyuser:1, is_data:1, is_strictroute:1, srr_is_hit:1, is_changed:1,
		      rr_needaddr:1, ts_needtime:1, ts_needaddr:1;
	unsigned char router_alert;
	unsigned char __pad1;
	unsigned char __pad2;
	unsigned char __data[0];
};

#endif
