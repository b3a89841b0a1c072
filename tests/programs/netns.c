/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netns new|PID COMMAND...: runs a command in a network namespace of its own, or in that of a process.
 * The guest's libraries are older than both calls.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEW_NETWORK	0x40000000
#ifdef __i386__
#define UNSHARE		310
#define SETNS		346
#else
#define UNSHARE		272
#define SETNS		308
#endif

static int failed(const char *what)
{
	fprintf(stderr, "netns: %s: %s\n", what, errno_name(errno));
	return 1;
}

int main(int argc, char **argv)
{
	char path[64];
	unsigned long process;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: netns new|PID COMMAND...\n");
		return 1;
	}
	if (strcmp(argv[1], "new") == 0) {
		if (syscall(UNSHARE, NEW_NETWORK) < 0)
			return failed("unshare");
	} else {
		if (number_read(argv[1], 1, 0x7fffffff, &process) < 0) {
			fprintf(stderr, "netns: not a process: %s\n", argv[1]);
			return 1;
		}
		sprintf(path, "/proc/%lu/ns/net", process);
		fd = open(path, O_RDONLY);
		if (fd < 0 || syscall(SETNS, fd, NEW_NETWORK) < 0)
			return failed(path);
		close(fd);
	}
	execvp(argv[2], argv + 2);
	return failed(argv[2]);
}
