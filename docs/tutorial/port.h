/* SPDX-License-Identifier: GPL-2.0-only */
/* A divert port for the programs of docs/tutorial.md. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* FreeBSD's number before 5.0, and Linux's ever since. */
#define IPPROTO_DIVERT 254

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

/*
 * Opens a divert socket on this port. The program then goes on in the background, as natd does: whoever
 * has started it goes on when it listens, and not before.
 */
static int open_port(const char *port)
{
	struct sockaddr_in address;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);

	if (fd < 0)
		fail("socket");
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons(atoi(port));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");
	switch (fork()) {
	case -1:
		fail("fork");
	case 0:
		return fd;
	default:
		_exit(0);
	}
}
