/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compiled for every new sysroot, as C of 2000 and of today, with the headers in this order and in the
 * opposite one: the headers of the libc and of the kernel agree, and say what programs rely on.
 */
#include <stdio.h>
#include <linux/types.h>
#include <sys/types.h>
#include <linux/socket.h>
#include <sys/socket.h>
#include <linux/in.h>
#include <netinet/in.h>
#include <linux/ip.h>
#include <netinet/ip.h>
#include <linux/icmp.h>
#include <netinet/ip_icmp.h>
#include <linux/tcp.h>
#include <netinet/tcp.h>
#include <linux/udp.h>
#include <netinet/udp.h>
#include <linux/igmp.h>
#include <linux/if.h>
#include <net/if.h>
#include <linux/if_arp.h>
#include <net/if_arp.h>
#include <linux/if_ether.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <linux/if_packet.h>
#include <netpacket/packet.h>
#include <linux/route.h>
#include <net/route.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/filter.h>
#include <linux/mroute.h>
#include <linux/ip_fw.h>
#include <linux/ip_masq.h>
#include <linux/if_tunnel.h>
#include <linux/netdevice.h>
#include <linux/time.h>
#include <sys/time.h>
#include <time.h>
#include <linux/uio.h>
#include <sys/uio.h>
#include <linux/un.h>
#include <sys/un.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <linux/sysctl.h>
#include <linux/resource.h>
#include <sys/resource.h>
#include <linux/signal.h>
#include <signal.h>
#include <linux/poll.h>
#include <poll.h>
#include <linux/termios.h>
#include <termios.h>
#include <linux/fcntl.h>
#include <fcntl.h>
#include <linux/wait.h>
#include <sys/wait.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include <sys/utsname.h>
#include <linux/ipc.h>
#include <linux/msg.h>
#include <linux/sem.h>
#include <linux/shm.h>
#include <sys/shm.h>
#include <linux/in_systm.h>
#include <netinet/in_systm.h>
#include <linux/posix_types.h>
#include <asm/byteorder.h>
#include <asm/fcntl.h>
#include <asm/poll.h>
#include <asm/posix_types.h>
#include <asm/resource.h>
#include <asm/signal.h>
#include <asm/socket.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <asm/types.h>
#include <linux/errno.h>
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <linux/limits.h>
#include <limits.h>
#include <sys/param.h>
#include <linux/version.h>
#include <net/if_packet.h>
#include <netinet/igmp.h>
#include <netinet/ip6.h>
#include <arpa/inet.h>
#include <error.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/dir.h>
#include <sys/queue.h>
#include <unistd.h>
#include <values.h>

#define ASSERT(name, condition) typedef char name[(condition) ? 1 : -1]

/* What the kernel reads and writes: FACTS of 2.2.12's linux/ip_fw.h. */
ASSERT(ip_fw_is_56, sizeof(struct ip_fw) == 56);
ASSERT(ip_fwuser_is_68, sizeof(struct ip_fwuser) == 68);
ASSERT(ip_fwchange_is_80, sizeof(struct ip_fwchange) == 80);
ASSERT(ip_fwdelnum_is_16, sizeof(struct ip_fwdelnum) == 16);
ASSERT(ip_fwnew_is_84, sizeof(struct ip_fwnew) == 84);
ASSERT(ip_fwpolicy_is_18, sizeof(struct ip_fwpolicy) == 18);
ASSERT(sockaddr_in_is_16, sizeof(struct sockaddr_in) == 16);
ASSERT(iphdr_is_20, sizeof(struct iphdr) == 20 && sizeof(struct ip) == 20);
ASSERT(tcphdr_is_20, sizeof(struct tcphdr) == 20);
ASSERT(udphdr_is_8, sizeof(struct udphdr) == 8);
ASSERT(icmphdr_is_8, sizeof(struct icmphdr) == 8);
ASSERT(icmp_is_28, sizeof(struct icmp) == 28);
ASSERT(ifreq_is_32, sizeof(struct ifreq) == 32);
ASSERT(igmp_is_8, sizeof(struct igmp) == IGMP_MINLEN);
ASSERT(ip6_hdr_is_40, sizeof(struct ip6_hdr) == 40);
ASSERT(ip6_frag_is_8, sizeof(struct ip6_frag) == 8);
ASSERT(sockaddr_pkt_is_18, sizeof(struct sockaddr_pkt) == 18);
ASSERT(ebadrqc_is_56, EBADRQC == 56);

/* As an enumerator: a program of the time defines it too, to the same value, before or behind. */
ASSERT(divert_is_254, IPPROTO_DIVERT == 254);
#define IPPROTO_DIVERT 254

/* Names by which the programs of two traditions know the same bytes; types that BSD leaves around. */
u_int check_names(struct tcphdr *tcp, struct udphdr *udp, struct icmp *icmp, u_int16_t more)
{
	u_char flags = tcp->th_flags & (TH_SYN | TH_ACK);
	u_short port = tcp->source + tcp->th_sport + udp->source + udp->uh_sport;
	__u32 wide = htonl(icmp->icmp_id) + tcp->syn + tcp->doff + tcp->th_off;

	return flags + port + wide + more;
}

int main(void)
{
	struct ip_fwchange change;
	struct sockaddr_in address;

	memset(&change, 0, sizeof(change));
	strcpy(change.fwc_label, IP_FW_LABEL_OUTPUT);
	change.fwc_rule.ipfw.fw_src.s_addr = INADDR_ANY;
	change.fwc_rule.ipfw.fw_redirpt = IPPORT_RESERVED;
	address.sin_addr = change.fwc_rule.ipfw.fw_src;
	address.sin_zero[0] = 0;
	return IP_FW_APPEND + (int)address.sin_addr.s_addr + IFF_UP + SIOCGIFADDR;
}
