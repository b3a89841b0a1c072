/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does the ABI of the Divert Sockets mini-HOWTO still hold (SPEC X5)? This program is written as one
 * of the year 2000 would be: gnu89, old-style definitions, implicit int and undeclared functions, the
 * kernel's headers between the C library's. It takes a divert port and how many packets to wait for
 * (default 1), diverts the ICMP packets that this host sends, and puts each back where it was taken.
 */
#include <stdio.h>
#include <errno.h>
#include <string.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/socket.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <arpa/inet.h>
#include <linux/types.h>
#include <linux/icmp.h>
#include <linux/ip_fw.h>

#define IPPROTO_DIVERT 254

int sock, fwsock;
struct ip_fwchange rule;

fatal(what) char *what;
{
	perror(what);
	exit(2);
}

leave(status) int status;
{
	if (setsockopt(fwsock, IPPROTO_IP, IP_FW_DELETE, &rule, sizeof(rule)) == -1)
		fatal("IP_FW_DELETE");
	close(fwsock);
	close(sock);
	exit(status);
}

interrupted(sig) int sig;
{
	leave(0);
}

divert_icmp(port) int port;
{
	memset(&rule, 0, sizeof(rule));
	rule.fwc_rule.ipfw.fw_proto = IPPROTO_ICMP;
	rule.fwc_rule.ipfw.fw_redirpt = port;
	rule.fwc_rule.ipfw.fw_spts[1] = 0xffff;
	rule.fwc_rule.ipfw.fw_dpts[1] = 0xffff;
	rule.fwc_rule.ipfw.fw_tosand = 0xff;
	strcpy(rule.fwc_rule.label, "DIVERT");
	strcpy(rule.fwc_label, IP_FW_LABEL_OUTPUT);
	if ((fwsock = socket(AF_INET, SOCK_RAW, IPPROTO_RAW)) == -1)
		fatal("raw socket");
	if (setsockopt(fwsock, IPPROTO_IP, IP_FW_APPEND, &rule, sizeof(rule)) == -1)
		fatal("IP_FW_APPEND");
}

main(argc, argv) int argc;
char **argv;
{
	static unsigned char packet[65535];
	struct sockaddr_in addr;
	struct iphdr *ip = (struct iphdr *)packet;
	struct icmphdr *icmp;
	int left, n, len, sent;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: %s port [packets]\n", argv[0]);
		exit(1);
	}
	left = argc == 3 ? atoi(argv[2]) : 1;

	if ((sock = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT)) == -1)
		fatal("divert socket");
	addr.sin_family = AF_INET; /* sin_addr and sin_zero hold what the stack held */
	addr.sin_port = htons(atoi(argv[1]));
	if (bind(sock, &addr, sizeof(struct sockaddr_in)) == -1)
		fatal("bind");
	signal(SIGINT, interrupted);
	signal(SIGTERM, interrupted);
	divert_icmp(atoi(argv[1]));
	printf("waiting on port %s\n", argv[1]);
	fflush(stdout);

	while (left-- > 0) {
		len = sizeof(addr);
		n = recvfrom(sock, packet, sizeof(packet), 0, &addr, &len);
		if (n == -1) {
			perror("recvfrom");
			leave(2);
		}
		icmp = (struct icmphdr *)(packet + ip->ihl * 4);
		printf("%d bytes, protocol %d, type %d, from %s", n, ip->protocol, icmp->type,
		       inet_ntoa(*(struct in_addr *)&ip->saddr));
		printf(" to %s", inet_ntoa(*(struct in_addr *)&ip->daddr));
		printf(" at %s\n", inet_ntoa(addr.sin_addr));
		sent = sendto(sock, packet, n, 0, &addr, sizeof(struct sockaddr_in));
		if (sent == -1 && errno == EBADRQC)
			printf("bad request code\n");
		else if (sent == -1 && errno == ENETUNREACH)
			printf("network unreachable\n");
		else if (sent == -1)
			perror("sendto");
		else
			printf("sent %d bytes\n", sent);
		fflush(stdout);
	}
	leave(0);
}
