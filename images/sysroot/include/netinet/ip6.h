/* SPDX-License-Identifier: GPL-2.0-only */
/* The headers of IPv6, by the names of RFC 2292: types only, for programs that read what others captured. */
#ifndef _SYSROOT_NETINET_IP6_H
#define _SYSROOT_NETINET_IP6_H

#include <netinet/in.h>
#include <stdint.h>

struct ip6_hdr {
	union {
		struct ip6_hdrctl {
			uint32_t ip6_un1_flow;	/* version, class, flow label */
			uint16_t ip6_un1_plen;
			uint8_t ip6_un1_nxt;
			uint8_t ip6_un1_hlim;
		} ip6_un1;
		uint8_t ip6_un2_vfc;		/* the first byte: version, half of the class */
	} ip6_ctlun;
	struct in6_addr ip6_src;
	struct in6_addr ip6_dst;
};

#define ip6_vfc		ip6_ctlun.ip6_un2_vfc
#define ip6_flow	ip6_ctlun.ip6_un1.ip6_un1_flow
#define ip6_plen	ip6_ctlun.ip6_un1.ip6_un1_plen
#define ip6_nxt		ip6_ctlun.ip6_un1.ip6_un1_nxt
#define ip6_hlim	ip6_ctlun.ip6_un1.ip6_un1_hlim
#define ip6_hops	ip6_hlim

struct ip6_ext {
	uint8_t ip6e_nxt;
	uint8_t ip6e_len;		/* in 8 bytes, the first 8 not counted */
};

struct ip6_hbh {
	uint8_t ip6h_nxt;
	uint8_t ip6h_len;
};

struct ip6_dest {
	uint8_t ip6d_nxt;
	uint8_t ip6d_len;
};

struct ip6_rthdr {
	uint8_t ip6r_nxt;
	uint8_t ip6r_len;
	uint8_t ip6r_type;
	uint8_t ip6r_segleft;
};

struct ip6_frag {
	uint8_t ip6f_nxt;
	uint8_t ip6f_reserved;
	uint16_t ip6f_offlg;		/* network byte order */
	uint32_t ip6f_ident;
};

#define IP6F_OFF_MASK		htons(0xfff8)
#define IP6F_RESERVED_MASK	htons(0x0006)
#define IP6F_MORE_FRAG		htons(0x0001)

#endif
