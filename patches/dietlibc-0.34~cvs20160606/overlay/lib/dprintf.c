/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of POSIX.1-2008. One write() for the whole text, unlike vfdprintf, which writes it in pieces. */
int dprintf(int fd, const char *format, ...)
{
	va_list arguments;
	ssize_t written;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length < 0)
		return -1;
	written = write(fd, text, length);
	free(text);
	return written;
}
