/* SPDX-License-Identifier: GPL-2.0-only */
#include <error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned int error_message_count;
void (*error_print_progname)(void);

/* argv[0], as begin.c was given it. */
extern const char *__program;

void error(int status, int number, const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	if (error_print_progname)
		error_print_progname();
	else
		fprintf(stderr, "%s: ", __program);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	if (number)
		fprintf(stderr, ": %s", strerror(number));
	fputc('\n', stderr);
	error_message_count++;
	if (status)
		exit(status);
}
