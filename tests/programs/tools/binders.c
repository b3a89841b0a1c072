/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * binders: many processes, each with divert ports of its own (SPEC S3, R6). It forks them, waits until
 * each has bound its ports, says so, and then each of them reports every packet that it gets:
 *   {"event":"ready","processes":200,"bound":200}
 *   {"event":"failed","port":7,"call":"bind","error":"EADDRINUSE"}
 *   {"event":"packet","port":1001,"length":28,"hex":"<the first 64 bytes>","reinjected":28}
 * It ends, and its processes with it, at the end of standard input or at SIGTERM.
 */
#include "../common/common.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PER_PROCESS_MAX 1000
#define SHOWN           64
#define CAP_SYS_ADMIN   21

static unsigned long first, count, per_process = 1;
static int reinject;

static void usage(void)
{
	fprintf(stderr, "usage: binders [--per-process N] [--reinject] FIRST-PORT HOW-MANY\n");
	exit(1);
}

/* One line is one write of less than PIPE_BUF bytes, so that the processes' lines do not mix. */
static void report(unsigned long port, const char *call)
{
	printf("{\"event\":\"failed\",\"port\":%lu,\"call\":\"%s\",\"error\":\"%s\"}\n", port, call,
	       errno_name(errno));
	fflush(stdout);
}

static int open_port(unsigned long port)
{
	struct sockaddr_in address;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);

	if (fd < 0) {
		report(port, "socket");
		return -1;
	}
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)port);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		report(port, "bind");
		close(fd);
		return -1;
	}
	return fd;
}

static void take_packet(int fd, unsigned long port)
{
	static unsigned char packet[PACKET_MAX];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	long sent,
		length = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &size);

	if (length < 0) {
		report(port, "recvfrom");
		return;
	}
	printf("{\"event\":\"packet\",\"port\":%lu,\"length\":%ld,\"hex\":\"", port, length);
	hex_write(stdout, packet, (size_t)(length < SHOWN ? length : SHOWN));
	printf("\"");
	if (reinject) {
		sent = sendto(fd, packet, (size_t)length, 0, (struct sockaddr *)&from, size);
		if (sent < 0)
			printf(",\"error\":\"%s\"", errno_name(errno));
		else
			printf(",\"reinjected\":%ld", sent);
	}
	printf("}\n");
	fflush(stdout);
}

/* A process of its own: tells the parent how many ports it has bound, then takes packets for ever. */
static void serve(unsigned long from, unsigned long ports, int ready)
{
	static int fds[PER_PROCESS_MAX];
	unsigned long i;
	uint16_t bound = 0;
	fd_set readable;
	int most = 0;

	for (i = 0; i < ports; i++) {
		fds[i] = open_port(from + i);
		bound = (uint16_t)(bound + (fds[i] >= 0));
		if (fds[i] > most)
			most = fds[i];
	}
	if (write(ready, &bound, sizeof(bound)) != sizeof(bound))
		_exit(2);
	close(ready);
	for (;;) {
		FD_ZERO(&readable);
		for (i = 0; i < ports; i++)
			if (fds[i] >= 0)
				FD_SET(fds[i], &readable);
		if (select(most + 1, &readable, NULL, NULL, NULL) < 0)
			_exit(2);
		for (i = 0; i < ports; i++)
			if (fds[i] >= 0 && FD_ISSET(fds[i], &readable))
				take_packet(fds[i], from + i);
	}
}

static void stop_children(int number)
{
	(void)number;
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned long i, processes, bound = 0, heard = 0;
	uint16_t answer;
	int ready[2], at;
	char byte;

	for (at = 1; at < argc && argv[at][0] == '-'; at++) {
		if (strcmp(argv[at], "--reinject") == 0)
			reinject = 1;
		else if (strcmp(argv[at], "--per-process") != 0 || ++at == argc ||
			 number_read(argv[at], 1, PER_PROCESS_MAX, &per_process) < 0)
			usage();
	}
	if (argc - at != 2 || number_read(argv[at], 1, 65535, &first) < 0 ||
	    number_read(argv[at + 1], 1, 65536 - first, &count) < 0)
		usage();

	/* Who may administrate the system is not held to file-max by a kernel of today. */
	if (capabilities_drop(1U << CAP_SYS_ADMIN) < 0) {
		perror("binders: capset");
		return 2;
	}
	setpgid(0, 0); /* so that kill(0) reaches the children, and nothing else */
	if (pipe(ready) < 0) {
		perror("binders: pipe");
		return 2;
	}
	processes = (count + per_process - 1) / per_process;
	for (i = 0; i < processes; i++) {
		unsigned long from = first + i * per_process;
		unsigned long left = first + count - from;
		pid_t child = fork();

		if (child == 0) {
			close(ready[0]);
			close(0);
			serve(from, left < per_process ? left : per_process, ready[1]);
		}
		if (child < 0) {
			report(from, "fork");
			break;
		}
	}
	close(ready[1]);
	signal(SIGTERM, stop_children);
	signal(SIGINT, stop_children);
	signal(SIGHUP, stop_children);
	while (read(ready[0], &answer, sizeof(answer)) == sizeof(answer)) {
		bound += answer;
		heard++;
	}
	printf("{\"event\":\"ready\",\"processes\":%lu,\"bound\":%lu}\n", heard, bound);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	stop_children(0);
	return 0;
}
