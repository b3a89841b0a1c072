/* SPDX-License-Identifier: GPL-2.0-only */
/* getifaddrs: a line for each address. */
#include <sys/types.h>
#include <sys/socket.h>
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

static void show(const char *what, struct sockaddr *address)
{
	if (address)
		printf(" %s %s", what, inet_ntoa(((struct sockaddr_in *)address)->sin_addr));
}

int main(void)
{
	struct ifaddrs *all, *each;

	if (getifaddrs(&all) < 0) {
		perror("getifaddrs");
		return 1;
	}
	for (each = all; each; each = each->ifa_next) {
		printf("%s", each->ifa_name);
		show("is", each->ifa_addr);
		show("mask", each->ifa_netmask);
		if (each->ifa_flags & IFF_BROADCAST)
			show("all", each->ifa_broadaddr);
		if (each->ifa_flags & IFF_POINTOPOINT)
			show("peer", each->ifa_dstaddr);
		printf("%s\n", each->ifa_flags & IFF_UP ? " up" : "");
	}
	freeifaddrs(all);
	return 0;
}
