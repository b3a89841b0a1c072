/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_UNISTD_H
#define _SYSROOT_UNISTD_H

#include_next <unistd.h>

__BEGIN_DECLS

/* SIGALRM after so many microseconds, and again after each interval, if that is not 0. */
unsigned int ualarm(unsigned int __value, unsigned int __interval) __THROW;

__END_DECLS

#endif
