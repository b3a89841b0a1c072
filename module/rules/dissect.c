// SPDX-License-Identifier: GPL-2.0-only
/*
 * What rules look at in a packet, and whether one matches.
 */
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>

#include "rules.h"

/* So much of the transport header has to be there to see its ports. */
static unsigned int needed(u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 16; /* to the window, behind the flags */
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
		return 8;
	}
	return 0;
}

static void dissect_transport(struct fw_dissected *dissected, u8 protocol, const void *head)
{
	const struct tcphdr *tcp = head;
	const struct udphdr *udp = head;
	const struct icmphdr *icmp = head;

	switch (protocol) {
	case IPPROTO_TCP:
		dissected->sport = ntohs(tcp->source);
		dissected->dport = ntohs(tcp->dest);
		dissected->syn = tcp->syn && !tcp->ack && !tcp->rst;
		break;
	case IPPROTO_UDP:
		dissected->sport = ntohs(udp->source);
		dissected->dport = ntohs(udp->dest);
		break;
	case IPPROTO_ICMP:
		dissected->sport = icmp->type;
		dissected->dport = icmp->code;
		break;
	}
}

/*
 * len bytes are there to be read, or all that the header can need. Of a packet
 * in fragments only the first has ports, and it must have them (R1): with a
 * short one, or with a TCP fragment 8 bytes in, ports and flags could be
 * overwritten behind the rules' back.
 */
void fw_dissect(struct fw_dissected *dissected, const struct iphdr *ip, unsigned int len)
{
	unsigned int offset = ntohs(ip->frag_off) & IP_OFFSET;
	unsigned int end = ip->ihl * 4 + needed(ip->protocol);

	dissected->sport = 0xffff;
	dissected->dport = 0xffff;
	dissected->syn = false;
	dissected->suspect = NULL;
	dissected->fragment = offset;
	if (offset == 1 && ip->protocol == IPPROTO_TCP)
		dissected->suspect = "TCP";
	if (offset)
		return;
	dissected->fragment = ntohs(ip->tot_len) < end || len < end;
	if (!dissected->fragment)
		dissect_transport(dissected, ip->protocol, (const u8 *)ip + ip->ihl * 4);
	else if (ip->frag_off & htons(IP_MF))
		dissected->suspect = "short first";
}

static bool port_matches(const __u16 range[2], u16 port, bool fragment, bool invert)
{
	if (fragment) /* F2: fails any test of a port */
		return range[0] == 0 && range[1] == 0xffff;
	return (port >= range[0] && port <= range[1]) != invert;
}

static bool interface_matches(const struct ip_fw *fw, const char *ifname)
{
	size_t n = IFNAMSIZ;

	if (fw->fw_flg & IP_FW_F_WILDIF)
		n = strnlen(fw->fw_vianame, IFNAMSIZ);
	return !strncmp(ifname, fw->fw_vianame, n);
}

bool fw_matches(const struct ip_fw *fw, const struct fw_dissected *dissected,
		const struct iphdr *ip)
{
	const u16 inv = fw->fw_invflg;
	const u16 flg = fw->fw_flg;
	const bool other = ip->protocol != fw->fw_proto;

	if (((ip->saddr & fw->fw_smsk.s_addr) == fw->fw_src.s_addr) == !!(inv & IP_FW_INV_SRCIP))
		return false;
	if (((ip->daddr & fw->fw_dmsk.s_addr) == fw->fw_dst.s_addr) == !!(inv & IP_FW_INV_DSTIP))
		return false;
	if (interface_matches(fw, dissected->ifname) == !!(inv & IP_FW_INV_VIA))
		return false;
	if ((!(flg & IP_FW_F_FRAG) || dissected->fragment) == !!(inv & IP_FW_INV_FRAG))
		return false;
	/* A fragment never passes a test of SYN, an inverted one neither. */
	if ((!(flg & IP_FW_F_TCPSYN) || dissected->syn) == !!(inv & IP_FW_INV_SYN))
		return false;
	if (flg & IP_FW_F_TCPSYN && dissected->fragment)
		return false;
	if (!fw->fw_proto)
		return true;
	if (other != !!(inv & IP_FW_INV_PROTO))
		return false;
	return port_matches(fw->fw_spts, dissected->sport, dissected->fragment,
			    inv & IP_FW_INV_SRCPT) &&
	       port_matches(fw->fw_dpts, dissected->dport, dissected->fragment,
			    inv & IP_FW_INV_DSTPT);
}
