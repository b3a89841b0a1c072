// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looks at each packet of a divert port, and gives it back as it was:
 *
 *	cc $(pkg-config --cflags divert) -o reinject reinject.c
 *	ipchains -A input -p ICMP -j DIVERT 1234
 *	./reinject 1234
 */
#include <netinet/divert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	static unsigned char packet[65535];
	int port = argc == 2 ? atoi(argv[1]) : 0;
	int fd;

	if (port < 1 || port > 65535) {
		fprintf(stderr, "usage: reinject PORT\n");
		return 1;
	}
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (fd < 0) {
		perror("socket");
		return 1;
	}
	address.sin_port = htons((unsigned short)port);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("bind");
		return 1;
	}
	printf("listening on divert port %d\n", port);
	fflush(stdout);
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		ssize_t length =
			recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &size);

		if (length < 0) {
			perror("recvfrom");
			return 1;
		}
		printf("%zd bytes of protocol %d\n", length, packet[9]);
		fflush(stdout);
		/* The address says where it was taken: with it the packet goes on from there. */
		if (sendto(fd, packet, (size_t)length, 0, (struct sockaddr *)&from, size) < 0)
			perror("sendto");
	}
}
