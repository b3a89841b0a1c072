/* SPDX-License-Identifier: GPL-2.0-only */
/* IGMP as RFC 2236 has it, by BSD's names; linux/igmp.h has the kernel's. */
#ifndef _SYSROOT_NETINET_IGMP_H
#define _SYSROOT_NETINET_IGMP_H

#include <netinet/in.h>
#include <sys/types.h>

struct igmp {
	u_int8_t igmp_type;
	u_int8_t igmp_code;		/* the greatest response time, in tenths of a second */
	u_int16_t igmp_cksum;
	struct in_addr igmp_group;
};

#define IGMP_MINLEN			8

#define IGMP_MEMBERSHIP_QUERY		0x11
#define IGMP_V1_MEMBERSHIP_REPORT	0x12
#define IGMP_DVMRP			0x13
#define IGMP_PIM			0x14
#define IGMP_TRACE			0x15
#define IGMP_V2_MEMBERSHIP_REPORT	0x16
#define IGMP_V2_LEAVE_GROUP		0x17
#define IGMP_MTRACE_RESP		0x1e
#define IGMP_MTRACE			0x1f

#define IGMP_MAX_HOST_REPORT_DELAY	10
#define IGMP_TIMER_SCALE		10

#endif
