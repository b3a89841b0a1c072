/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IN_H
#define _SYSROOT_LINUX_IN_H

#include <linux/types.h>
#include <sys/socket.h>
#include <netinet/in.h>

/* In the patched kernel's header; a program of the time defined it by itself, to the same value. */
#ifndef IPPROTO_DIVERT
#define IPPROTO_DIVERT 254
#endif

#endif
