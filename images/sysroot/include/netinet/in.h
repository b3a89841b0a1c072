/* SPDX-License-Identifier: GPL-2.0-only */
/* The libc's header, with the number of divert sockets as the patched kernel's linux/in.h has it. */
#ifndef _SYSROOT_NETINET_IN_H
#define _SYSROOT_NETINET_IN_H

#include_next <netinet/in.h>

/* No macro: a program of the time has its own, before or behind this, and neither is a mistake. */
#ifndef IPPROTO_DIVERT
enum { IPPROTO_DIVERT = 254 };
#endif

#endif
