/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ERROR_H
#define _SYSROOT_ERROR_H

#include <sys/cdefs.h>

__BEGIN_DECLS

/* Says what is wrong on standard error, with errno's words if it is not 0; ends with a status above 0. */
void error(int __status, int __number, const char *__format, ...)
	__attribute__((__format__(__printf__, 3, 4)));

extern unsigned int error_message_count;
extern void (*error_print_progname)(void);

__END_DECLS

#endif
