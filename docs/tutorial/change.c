// SPDX-License-Identifier: GPL-2.0-only
/* Gives each packet that comes to a divert port back with another time to live: change PORT TTL */
#include "port.h"

static unsigned char packet[65535];

int main(int argc, char **argv)
{
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: change PORT TTL\n");
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
		/* The header's checksum is made anew by the kernel. */
		packet[8] = atoi(argv[2]);
		if (sendto(fd, packet, length, 0, (struct sockaddr *)&from, size) < 0)
			perror("sendto");
	}
}
