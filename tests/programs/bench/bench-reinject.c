/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench-reinject: the leanest user of a divert socket, for benchmarks: gives back every packet as it
 * came, one a system call, or with --batch up to N a call, by recvmmsg and sendmmsg (Linux 3.0).
 * With --keep the kernel keeps what is read (M8): it goes on as it was by a call without data, or with --batch
 * as many as were received by one DIVERT_VERDICT; with --read it goes on when the next one is read. Says {"event":"ready"}, and at SIGTERM how much it had to do:
 *   {"event":"end","packets":30000,"calls":1000}
 * where calls are those that received. Any error ends it: {"event":"failed","call":"sendto","error":"EPERM"}.
 */
#define _GNU_SOURCE
#include "bench.h"
#include "../common/common.h"
#include "../common/kept.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Room for a window of bench-wires, 64 frames. A kernel that grants less has no such wires. */
#define BUFFER (256 << 10)

static unsigned char packets[BATCH_MAX][PACKET_MAX];
static int fd, keep;

static void one_a_call(void)
{
	struct sockaddr_in from;

	for (;;) {
		socklen_t size = sizeof(from);
		long length =
			recvfrom(fd, packets[0], PACKET_MAX, 0, (struct sockaddr *)&from, &size);

		if (length < 0)
			failed("recvfrom");
		call_count++;
		packet_count++;
		if (keep == DIVERT_READ)
			continue;
		if (keep == DIVERT_TOLD)
			length = 0;
		if (sendto(fd, packets[0], (size_t)length, 0, (struct sockaddr *)&from, size) !=
		    length)
			failed("sendto");
	}
}

static void many_a_call(unsigned int most)
{
	static struct sockaddr_in from[BATCH_MAX];
	static struct message messages[BATCH_MAX];
	static struct iovec parts[BATCH_MAX];
	unsigned int i;

	for (i = 0; i < most; i++) {
		parts[i].iov_base = packets[i];
		messages[i].header.msg_name = &from[i];
		messages[i].header.msg_iov = &parts[i];
		messages[i].header.msg_iovlen = 1;
	}
	for (;;) {
		long got, sent = 0;

		for (i = 0; i < most; i++) {
			parts[i].iov_len = PACKET_MAX;
			messages[i].header.msg_namelen = sizeof(from[i]);
		}
		got = syscall(RECVMMSG, fd, messages, most, WAIT_FOR_ONE, NULL);
		if (got < 0)
			failed("recvmmsg");
		call_count++;
		packet_count += (unsigned long)got;
		if (keep) {
			struct verdict verdict = { DIVERT_ACCEPT, kept_number(&from[0]),
						   kept_number(&from[got - 1]) };

			if (setsockopt(fd, SOL_DIVERT, DIVERT_VERDICT, &verdict, sizeof(verdict)) <
			    0)
				failed("setsockopt");
			continue;
		}
		for (i = 0; (long)i < got; i++)
			parts[i].iov_len = messages[i].length;
		while (sent < got) {
			long some = syscall(SENDMMSG, fd, messages + sent,
					    (unsigned int)(got - sent), 0);

			if (some <= 0)
				failed("sendmmsg");
			sent += some;
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	unsigned long port, batch = 0;
	int at = 1, buffer = BUFFER;

	if (argc > 1 && strcmp(argv[1], "--keep") == 0)
		keep = DIVERT_TOLD;
	if (argc > 1 && strcmp(argv[1], "--read") == 0)
		keep = DIVERT_READ;
	if (keep)
		at = 2;
	if (argc == at + 3 && keep != DIVERT_READ && strcmp(argv[at], "--batch") == 0 &&
	    number_read(argv[at + 1], 1, BATCH_MAX, &batch) == 0)
		at += 2;
	if (argc - at != 1 || number_read(argv[at], 1, 65535, &port) < 0) {
		fprintf(stderr,
			"usage: bench-reinject [--keep] [--batch N] PORT\n       bench-reinject --read PORT\n");
		return 1;
	}
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (fd < 0)
		failed("socket");
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)port);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		failed("bind");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) < 0)
		failed("setsockopt");
	if (keep && setsockopt(fd, SOL_DIVERT, DIVERT_KEEP, &keep, sizeof(keep)) < 0)
		failed("setsockopt");
	ready();
	if (batch)
		many_a_call((unsigned int)batch);
	else
		one_a_call();
	return 0;
}
