/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IN_H
#define _SYSROOT_LINUX_IN_H

#include <linux/types.h>
#include <sys/socket.h>
#include <netinet/in.h>

#endif
