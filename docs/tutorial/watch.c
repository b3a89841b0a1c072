// SPDX-License-Identifier: GPL-2.0-only
/* Shows each packet that comes to a divert port, and reinjects it as it was: watch PORT */
#include "port.h"

static unsigned char packet[65535];

static void show(int length, const struct sockaddr_in *from)
{
	struct in_addr source, destination;

	memcpy(&source, packet + 12, sizeof(source));
	memcpy(&destination, packet + 16, sizeof(destination));
	printf("%d bytes of protocol %d, ttl %d, ", length, packet[9], packet[8]);
	printf("%s > ", inet_ntoa(source));
	printf("%s, ", inet_ntoa(destination));
	/* The address of the interface that it came by; none if it is on its way out. */
	if (from->sin_addr.s_addr)
		printf("in by %s\n", inet_ntoa(from->sin_addr));
	else
		printf("out\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: watch PORT\n");
		return 1;
	}
	fd = open_port(argv[1]);
	for (;;) {
		struct sockaddr_in from;
		socklen_t size = sizeof(from);
		int length =
			recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &size);

		if (length < 0)
			fail("recvfrom");
		show(length, &from);
		/* The address that it came with says where it goes on. */
		if (sendto(fd, packet, length, 0, (struct sockaddr *)&from, size) < 0)
			perror("sendto");
	}
}
