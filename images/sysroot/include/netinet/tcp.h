/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The libc's header, but for `struct tcphdr`: here with the fields of RFC 793 by both of the names that
 * programs use, Linux's source, doff, syn and BSD's th_sport, th_off, th_flags.
 */
#ifndef _SYSROOT_NETINET_TCP_H
#define _SYSROOT_NETINET_TCP_H

#include <stdint.h>
#include <sys/types.h>

#define tcphdr __libc_tcphdr
#include_next <netinet/tcp.h>
#undef tcphdr

typedef uint32_t tcp_seq;

struct tcphdr {
	__extension__ union {
		struct {
			uint16_t th_sport;
			uint16_t th_dport;
			tcp_seq th_seq;
			tcp_seq th_ack;
			uint8_t th_x2:4;
			uint8_t th_off:4;
			uint8_t th_flags;
			uint16_t th_win;
			uint16_t th_sum;
			uint16_t th_urp;
		};
		struct {
			uint16_t source;
			uint16_t dest;
			uint32_t seq;
			uint32_t ack_seq;
			uint16_t res1:4, doff:4;
			uint16_t fin:1, syn:1, rst:1, psh:1, ack:1, urg:1, res2:2;
			uint16_t window;
			uint16_t check;
			uint16_t urg_ptr;
		};
		/* The two bits of res2, as RFC 3168 has named them since. */
		struct {
			uint16_t __before[6];
			uint16_t __lower:14, ece:1, cwr:1;
		};
	};
};

#undef TH_FIN
#undef TH_SYN
#undef TH_RST
#undef TH_PUSH
#undef TH_ACK
#undef TH_URG
#define TH_FIN	0x01
#define TH_SYN	0x02
#define TH_RST	0x04
#define TH_PUSH	0x08
#define TH_ACK	0x10
#define TH_URG	0x20

/* Options (RFC 793, 1323, 2018), for whom the libc has left them out. */
#ifndef TCPOPT_EOL
#define TCPOPT_EOL		0
#define TCPOPT_NOP		1
#define TCPOPT_MAXSEG		2
#define TCPOLEN_MAXSEG		4
#define TCPOPT_WINDOW		3
#define TCPOLEN_WINDOW		3
#define TCPOPT_SACK_PERMITTED	4
#define TCPOLEN_SACK_PERMITTED	2
#define TCPOPT_SACK		5
#define TCPOPT_TIMESTAMP	8
#define TCPOLEN_TIMESTAMP	10
#endif
#ifndef TCP_MSS
#define TCP_MSS			512
#endif
#ifndef TCP_MAXWIN
#define TCP_MAXWIN		65535
#endif
#ifndef SOL_TCP
#define SOL_TCP			6
#endif

#endif
