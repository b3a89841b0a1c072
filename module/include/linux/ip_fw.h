/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The firewall's interface to programs, as Linux 2.2 had it (SPEC R4): socket
 * options of level IPPROTO_IP, the structures that they take, and two files in
 * /proc/net. Addresses and masks are in network byte order, everything else is
 * in the host's. The structures are the same for 32-bit and 64-bit programs.
 *
 * As in 2.2, a program includes before this what it wants in_addr, iphdr,
 * tcphdr, udphdr, icmphdr and IFNAMSIZ to be: the C library's headers
 * (netinet/..., net/if.h) or the kernel's.
 */
#ifndef _IP_FWCHAINS_H
#define _IP_FWCHAINS_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/icmp.h>
#include <linux/if.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#endif

/* The name of a chain or a target, ended by a zero. */
#define IP_FW_MAX_LABEL_LENGTH 8
typedef char ip_chainlabel[IP_FW_MAX_LABEL_LENGTH + 1];

/* What a rule matches, and what it does to that besides its target. */
struct ip_fw {
	struct in_addr fw_src, fw_dst;
	struct in_addr fw_smsk, fw_dmsk;
	__u32 fw_mark;             /* for the packet's mark */
	__u16 fw_proto;            /* 0: every protocol */
	__u16 fw_flg;              /* IP_FW_F_... */
	__u16 fw_invflg;           /* IP_FW_INV_... */
	__u16 fw_spts[2];          /* first and last; ICMP: type */
	__u16 fw_dpts[2];          /* first and last; ICMP: code */
	__u16 fw_redirpt;          /* the port of REDIRECT and DIVERT */
	__u16 fw_outputsize;       /* of a copy for netlink */
	char fw_vianame[IFNAMSIZ]; /* empty: every interface */
	__u8 fw_tosand, fw_tosxor; /* 0xff and 0 leave the TOS alone */
};

/* A rule. */
struct ip_fwuser {
	struct ip_fw ipfw;
	ip_chainlabel label; /* target; empty: none */
};

/* fw_flg */
#define IP_FW_F_PRN     0x0001 /* log what matches */
#define IP_FW_F_TCPSYN  0x0002 /* only a SYN without ACK and RST */
#define IP_FW_F_FRAG    0x0004 /* only fragments but the first */
#define IP_FW_F_MARKABS 0x0008 /* fw_mark is set, not added */
#define IP_FW_F_WILDIF  0x0010 /* fw_vianame is a beginning */
#define IP_FW_F_NETLINK 0x0020 /* a copy for netlink */
#define IP_FW_F_MASK    0x003F

/* fw_invflg: what is matched the other way round */
#define IP_FW_INV_SRCIP 0x0001
#define IP_FW_INV_DSTIP 0x0002
#define IP_FW_INV_PROTO 0x0004
#define IP_FW_INV_SRCPT 0x0008
#define IP_FW_INV_DSTPT 0x0010
#define IP_FW_INV_VIA   0x0020
#define IP_FW_INV_SYN   0x0040
#define IP_FW_INV_FRAG  0x0080

/* Socket options. */
#define IP_FW_BASE_CTL      64
#define IP_FW_APPEND        (IP_FW_BASE_CTL)      /* ip_fwchange */
#define IP_FW_REPLACE       (IP_FW_BASE_CTL + 1)  /* ip_fwnew */
#define IP_FW_DELETE_NUM    (IP_FW_BASE_CTL + 2)  /* ip_fwdelnum */
#define IP_FW_DELETE        (IP_FW_BASE_CTL + 3)  /* ip_fwchange */
#define IP_FW_INSERT        (IP_FW_BASE_CTL + 4)  /* ip_fwnew */
#define IP_FW_FLUSH         (IP_FW_BASE_CTL + 5)  /* ip_chainlabel */
#define IP_FW_ZERO          (IP_FW_BASE_CTL + 6)  /* ip_chainlabel */
#define IP_FW_CHECK         (IP_FW_BASE_CTL + 7)  /* ip_fwtest */
#define IP_FW_MASQ_TIMEOUTS (IP_FW_BASE_CTL + 8)  /* three int */
#define IP_FW_CREATECHAIN   (IP_FW_BASE_CTL + 9)  /* ip_chainlabel */
#define IP_FW_DELETECHAIN   (IP_FW_BASE_CTL + 10) /* ip_chainlabel */
#define IP_FW_POLICY        (IP_FW_BASE_CTL + 11) /* ip_fwpolicy */
#define IP_FW_MASQ_CTL      (IP_FW_BASE_CTL + 12)

/* The chains that are always there. */
#define IP_FW_LABEL_INPUT   "input"
#define IP_FW_LABEL_FORWARD "forward"
#define IP_FW_LABEL_OUTPUT  "output"

/* Targets. */
#define IP_FW_LABEL_ACCEPT     "ACCEPT"
#define IP_FW_LABEL_BLOCK      "DENY"
#define IP_FW_LABEL_REJECT     "REJECT"
#define IP_FW_LABEL_RETURN     "RETURN"
#define IP_FW_LABEL_REDIRECT   "REDIRECT"
#define IP_FW_LABEL_MASQUERADE "MASQ"
#define IP_FW_LABEL_QUEUE      "QUEUE"
#define IP_FW_LABEL_DIVERT     "DIVERT" /* to the port in fw_redirpt */

/* In /proc/net. */
#define IP_FW_PROC_CHAINS      "ip_fwchains"
#define IP_FW_PROC_CHAIN_NAMES "ip_fwnames"

/* A packet to try. */
struct ip_fwpkt {
	struct iphdr fwp_iph; /* without options */
	union {
		struct tcphdr fwp_tcph;
		struct udphdr fwp_udph;
		struct icmphdr fwp_icmph;
	} fwp_protoh;
	struct in_addr fwp_via; /* not looked at */
	char fwp_vianame[IFNAMSIZ];
};

struct ip_fwtest {
	struct ip_fwpkt fwt_packet;
	ip_chainlabel fwt_label; /* the chain to begin with */
};

struct ip_fwchange {
	struct ip_fwuser fwc_rule;
	ip_chainlabel fwc_label; /* the chain */
};

struct ip_fwnew {
	__u32 fwn_rulenum; /* the first is 1 */
	struct ip_fwuser fwn_rule;
	ip_chainlabel fwn_label;
};

struct ip_fwdelnum {
	__u32 fwd_rulenum;
	ip_chainlabel fwd_label;
};

struct ip_fwpolicy {
	ip_chainlabel fwp_policy; /* ACCEPT, DENY or REJECT */
	ip_chainlabel fwp_label;
};

#endif /* _IP_FWCHAINS_H */
