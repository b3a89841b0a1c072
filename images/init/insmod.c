/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * insmod FILE [PARAMETERS]: loads a module into a kernel of today, by the call that takes the file as a
 * whole. 2.2.12's call of this number is another one; its image has no modules.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long init_module(const void *image, unsigned long length, const char *parameters)
{
	long result;

	__asm__ __volatile__("int $0x80" : "=a"(result)
			     : "0"(128), "b"(image), "c"(length), "d"(parameters) : "memory");
	return result;
}

static void fail(const char *what, int error)
{
	fprintf(stderr, "insmod: %s: %s\n", what, strerror(error));
	exit(1);
}

int main(int argc, char **argv)
{
	struct stat status;
	char *image;
	long got, result;
	size_t length = 0;
	int fd;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: insmod FILE [PARAMETERS]\n");
		return 1;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || fstat(fd, &status) < 0)
		fail(argv[1], errno);
	image = malloc((size_t)status.st_size + 1);
	if (!image)
		fail(argv[1], ENOMEM);
	while ((got = read(fd, image + length, (size_t)status.st_size - length)) > 0)
		length += (size_t)got;
	if (got < 0)
		fail(argv[1], errno);
	result = init_module(image, length, argc == 3 ? argv[2] : "");
	if (result < 0)
		fail(argv[1], (int)-result);
	return 0;
}
