/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * keep-switch [--drop] PORT DESTINATION LEAST: reads from a divert port, and gives back or lets go on, while another process
 * turns DIVERT_KEEP of the same socket on and off (M8), or, with --drop, drops all that is kept. What it reads it sends itself, one
 * datagram after another, to that UDP port of the loopback, on which it listens too: a rule on output has to divert them. It
 * says {"event":"ready"}, begins when it reads a line, and ends when each that can happen to a packet has happened so often:
 *   {"event":"end","sent":9000,"read":9000,"returned":3000,"went":3000,"dropped":3000,"arrived":6000,"memory":0}
 * read with a tag and returned; kept, and went on; kept, and gone before it could. At the end the option is off, and memory
 * is what the socket's queue is charged. Any other answer ends it: {"event":"failed","call":"sendto","error":"EINVAL"}.
 */
#include "../common/common.h"
#include "../common/kept.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SO_MEMINFO  55
#define MEMINFO_MAX 9
#define KIND_AT     8 /* in an address: whether it is of a packet that is kept */
#define KIND_KEPT   4
#define BUFFER      (256 << 10)
#define DIVERT_DROP 0
/* What is gone on or dropped meanwhile is not read: the queue is never empty for long. */
#define AHEAD 4

static int divert_fd, sender_fd, receiver_fd;
static struct sockaddr_in destination;
static unsigned long sent, got, returned, went, dropped, arrived;

static void failed(const char *call)
{
	printf("{\"event\":\"failed\",\"call\":\"%s\",\"error\":\"%s\"}\n", call,
	       errno_name(errno));
	fflush(stdout);
	exit(1);
}

static int bound(int type, int protocol, unsigned long port)
{
	struct sockaddr_in address;
	int buffer = BUFFER, fd = socket(AF_INET, type, protocol);

	if (fd < 0)
		failed("socket");
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)port);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		failed("bind");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) < 0)
		failed("setsockopt");
	return fd;
}

static void keep(int value)
{
	if (setsockopt(divert_fd, SOL_DIVERT, DIVERT_KEEP, &value, sizeof(value)) < 0)
		failed("setsockopt");
}

/* All that there is. */
static void drop(void)
{
	struct verdict all = { DIVERT_DROP, 0, 0x7fffffff };

	if (setsockopt(divert_fd, SOL_DIVERT, DIVERT_VERDICT, &all, sizeof(all)) < 0 &&
	    errno != ENOENT)
		failed("setsockopt");
}

static void switch_for_ever(int only_drop)
{
	keep(DIVERT_TOLD);
	for (;;) {
		if (only_drop) {
			drop();
		} else {
			keep(DIVERT_TOLD);
			keep(0);
		}
	}
}

/* One packet; 0 if there is none. */
static int take(void)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	long length = recvfrom(divert_fd, packet, sizeof(packet), MSG_DONTWAIT,
			       (struct sockaddr *)&from, &size);
	int kept;

	if (length < 0 && errno == EAGAIN)
		return 0;
	if (length < 0)
		failed("recvfrom");
	got++;
	kept = ((unsigned char *)&from)[KIND_AT] == KIND_KEPT;
	if (sendto(divert_fd, packet, kept ? 0 : (size_t)length, 0, (struct sockaddr *)&from,
		   size) >= 0) {
		if (kept)
			went++;
		else
			returned++;
	} else if (kept && errno == ENOENT) {
		dropped++;
	} else {
		failed("sendto");
	}
	return 1;
}

static void receive(void)
{
	char byte;

	while (recv(receiver_fd, &byte, 1, MSG_DONTWAIT) >= 0)
		arrived++;
	if (errno != EAGAIN)
		failed("recv");
}

static void send_and_take(void)
{
	int i;

	for (i = 0; i < AHEAD; i++) {
		if (sendto(sender_fd, "", 1, 0, (struct sockaddr *)&destination,
			   sizeof(destination)) < 0)
			failed("sendto");
		sent++;
	}
	while (take())
		receive();
}

static unsigned long least_of(unsigned long a, unsigned long b)
{
	return a < b ? a : b;
}

int main(int argc, char **argv)
{
	int only_drop = argc > 1 && strcmp(argv[1], "--drop") == 0;
	unsigned long port, to, least;
	uint32_t memory[MEMINFO_MAX] = { 0 };
	socklen_t size = sizeof(memory);
	char line[16];
	pid_t child;

	argv += only_drop;
	if (argc - only_drop != 4 || number_read(argv[1], 1, 65535, &port) < 0 ||
	    number_read(argv[2], 1, 65535, &to) < 0 ||
	    number_read(argv[3], 1, 100000000, &least) < 0) {
		fprintf(stderr, "usage: keep-switch [--drop] PORT DESTINATION LEAST\n");
		return 1;
	}
	divert_fd = bound(SOCK_RAW, IPPROTO_DIVERT, port);
	receiver_fd = bound(SOCK_DGRAM, IPPROTO_UDP, to);
	sender_fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
	if (sender_fd < 0)
		failed("socket");
	destination.sin_family = AF_INET;
	destination.sin_port = htons((uint16_t)to);
	destination.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	printf("{\"event\":\"ready\"}\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		return 1;
	child = fork();
	if (child < 0)
		failed("fork");
	if (!child)
		switch_for_ever(only_drop);
	while (least_of(least_of(went, dropped), only_drop ? least : returned) < least)
		send_and_take();
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	keep(0);
	while (take())
		;
	receive();
	if (getsockopt(divert_fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0)
		failed("getsockopt");
	printf("{\"event\":\"end\",\"sent\":%lu,\"read\":%lu,\"returned\":%lu,\"went\":%lu,"
	       "\"dropped\":%lu,\"arrived\":%lu,\"memory\":%lu}\n",
	       sent, got, returned, went, dropped, arrived, (unsigned long)memory[0]);
	return 0;
}
