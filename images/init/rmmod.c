/* SPDX-License-Identifier: GPL-2.0-only */
/* rmmod NAME: removes a module of a kernel of today. One that is in use is not waited for. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static long delete_module(const char *name, unsigned int flags)
{
	long result;

	__asm__ __volatile__("int $0x80" : "=a"(result) : "0"(129), "b"(name), "c"(flags) : "memory");
	return result;
}

int main(int argc, char **argv)
{
	long result;

	if (argc != 2) {
		fprintf(stderr, "usage: rmmod NAME\n");
		return 1;
	}
	result = delete_module(argv[1], O_NONBLOCK);
	if (result < 0) {
		fprintf(stderr, "rmmod: %s: %s\n", argv[1], strerror((int)-result));
		return 1;
	}
	return 0;
}
