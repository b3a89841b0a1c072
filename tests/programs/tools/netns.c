/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * netns new|user|PID COMMAND...: runs a command in a network namespace of its own, in one of a user namespace of its
 * own, whose root it is, or in that of a process.
 */
#define _GNU_SOURCE
#include "../common/common.h"
#include "../common/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(const char *what)
{
	fprintf(stderr, "netns: %s: %s\n", what, errno_name(errno));
	return 1;
}

/* Root there is who is root here: without a map a program has no rights in its own namespace. */
static int map_root(const char *path)
{
	static const char map[] = "0 0 1";
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, map, sizeof(map) - 1) < 0)
		return failed(path);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	char path[64];
	unsigned long process;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: netns new|user|PID COMMAND...\n");
		return 1;
	}
	if (strcmp(argv[1], "new") == 0) {
		if (syscall(UNSHARE, NEW_NETWORK) < 0)
			return failed("unshare");
	} else if (strcmp(argv[1], "user") == 0) {
		if (syscall(UNSHARE, NEW_USER | NEW_NETWORK) < 0)
			return failed("unshare");
		if (map_root("/proc/self/uid_map"))
			return 1;
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
