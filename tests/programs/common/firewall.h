/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The firewall's user interface of Linux 2.2 (SPEC R4), as bytes: the same on every machine, with or
 * without 2.2's own linux/ip_fw.h. Sizes are checked below against those of 2.2.12.
 */
#ifndef FIREWALL_H
#define FIREWALL_H

#include <netinet/in.h>
#include <stdint.h>

/* Socket options at level IPPROTO_IP; each takes the structure behind it. */
enum firewall_option {
	FIREWALL_APPEND = 64,        /* firewall_change */
	FIREWALL_REPLACE = 65,       /* firewall_numbered */
	FIREWALL_DELETE_NUMBER = 66, /* firewall_number */
	FIREWALL_DELETE = 67,        /* firewall_change */
	FIREWALL_INSERT = 68,        /* firewall_numbered */
	FIREWALL_FLUSH = 69,         /* a label */
	FIREWALL_ZERO = 70,          /* a label */
	FIREWALL_CHECK = 71,         /* a packet */
	FIREWALL_CREATE_CHAIN = 73,  /* a label */
	FIREWALL_DELETE_CHAIN = 74,  /* a label */
	FIREWALL_POLICY = 75,        /* two labels: policy, chain */
};

typedef char firewall_label[9]; /* a chain or target, ended by a zero */

struct firewall_match {
	struct in_addr source, destination;
	struct in_addr source_mask, destination_mask;
	uint32_t mark;
	uint16_t protocol; /* 0 is every protocol */
	uint16_t flags, inverted;
	uint16_t source_ports[2];      /* from, to, host byte order; for ICMP the type */
	uint16_t destination_ports[2]; /* for ICMP the code */
	uint16_t port;                 /* of REDIRECT and DIVERT, host byte order */
	uint16_t netlink_size;
	char interface[16];       /* empty is every interface */
	uint8_t tos_and, tos_xor; /* 0xff and 0 leave the TOS alone */
};

struct firewall_rule {
	struct firewall_match match;
	firewall_label target;
};

struct firewall_change {
	struct firewall_rule rule;
	firewall_label chain;
};

struct firewall_numbered {
	uint32_t number; /* the first rule is 1 */
	struct firewall_rule rule;
	firewall_label chain;
};

struct firewall_number {
	uint32_t number;
	firewall_label chain;
};

struct firewall_packet {
	uint8_t header[20]; /* of IP, without options */
	uint8_t transport[20];
	struct in_addr unused;
	char interface[16];
	firewall_label chain; /* to begin with */
};

struct firewall_policy {
	firewall_label policy;
	firewall_label chain;
};

/* firewall_match.flags */
#define FIREWALL_LOG      0x01
#define FIREWALL_SYN      0x02
#define FIREWALL_FRAGMENT 0x04
#define FIREWALL_MARK_SET 0x08 /* else the mark is added */
#define FIREWALL_WILD     0x10 /* the interface is a beginning */
#define FIREWALL_NETLINK  0x20

/* firewall_match.inverted */
#define FIREWALL_NOT_SOURCE    0x01
#define FIREWALL_NOT_DEST      0x02
#define FIREWALL_NOT_PROTOCOL  0x04
#define FIREWALL_NOT_SPORTS    0x08
#define FIREWALL_NOT_DPORTS    0x10
#define FIREWALL_NOT_INTERFACE 0x20
#define FIREWALL_NOT_SYN       0x40
#define FIREWALL_NOT_FRAGMENT  0x80

_Static_assert(sizeof(struct firewall_match) == 56, "struct ip_fw has 56 bytes");
_Static_assert(sizeof(struct firewall_rule) == 68, "struct ip_fwuser has 68 bytes");
_Static_assert(sizeof(struct firewall_change) == 80, "struct ip_fwchange has 80 bytes");
_Static_assert(sizeof(struct firewall_numbered) == 84, "struct ip_fwnew has 84 bytes");
_Static_assert(sizeof(struct firewall_number) == 16, "struct ip_fwdelnum has 16 bytes");
_Static_assert(sizeof(struct firewall_packet) == 72, "struct ip_fwtest has 72 bytes");
_Static_assert(sizeof(struct firewall_policy) == 18, "struct ip_fwpolicy has 18 bytes");

#endif
