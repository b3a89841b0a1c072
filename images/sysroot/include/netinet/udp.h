/* SPDX-License-Identifier: GPL-2.0-only */
/* The libc's header, but for `struct udphdr`: here by Linux's names and BSD's. */
#ifndef _SYSROOT_NETINET_UDP_H
#define _SYSROOT_NETINET_UDP_H

#include <stdint.h>
#include <sys/types.h>

#define udphdr __libc_udphdr
#include_next <netinet/udp.h>
#undef udphdr

struct udphdr {
	__extension__ union {
		struct {
			uint16_t source;
			uint16_t dest;
			uint16_t len;
			uint16_t check;
		};
		struct {
			uint16_t uh_sport;
			uint16_t uh_dport;
			uint16_t uh_ulen;
			uint16_t uh_sum;
		};
	};
};

#endif
