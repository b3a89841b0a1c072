// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets no more than so many bytes a second through a divert port: shape PORT BYTES
 *
 * A packet takes its length of the line; it is reinjected when its last byte would be through. What
 * finds no room in the queue here stays in that of the socket, and behind that the kernel drops.
 */
#include "port.h"

#define ROOM   64
#define SECOND 1000000LL

struct waiting {
	unsigned char *packet;
	int length;
	struct sockaddr_in from;
	long long due;
};

static struct waiting queue[ROOM];
static int first, count;
/* When the line is free again. */
static long long idle;

static long long now(void)
{
	struct timeval time;

	gettimeofday(&time, NULL);
	return time.tv_sec * SECOND + time.tv_usec;
}

static void take(int fd, int rate)
{
	static unsigned char packet[65535];
	struct waiting *last = &queue[(first + count) % ROOM];
	socklen_t size = sizeof(last->from);

	last->length =
		recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&last->from, &size);
	if (last->length < 0)
		fail("recvfrom");
	last->packet = malloc(last->length);
	if (!last->packet)
		fail("malloc");
	memcpy(last->packet, packet, last->length);
	if (idle < now())
		idle = now();
	idle += last->length * SECOND / rate;
	last->due = idle;
	count++;
}

static void reinject(int fd)
{
	struct waiting *next = &queue[first];

	if (sendto(fd, next->packet, next->length, 0, (struct sockaddr *)&next->from,
		   sizeof(next->from)) < 0)
		perror("sendto");
	free(next->packet);
	first = (first + 1) % ROOM;
	count--;
}

int main(int argc, char **argv)
{
	struct pollfd socket;
	int rate = argc == 3 ? atoi(argv[2]) : 0;

	if (rate < 1) {
		fprintf(stderr, "usage: shape PORT BYTES\n");
		return 1;
	}
	socket.fd = open_port(argv[1]);
	for (;;) {
		int wait = -1;

		socket.events = count < ROOM ? POLLIN : 0;
		if (count) {
			long long left = queue[first].due - now();

			wait = left > 0 ? (int)(left / 1000) + 1 : 0;
		}
		if (poll(&socket, 1, wait) < 0)
			fail("poll");
		if (socket.revents)
			take(socket.fd, rate);
		while (count && queue[first].due <= now())
			reinject(socket.fd);
	}
}
