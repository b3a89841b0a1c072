/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_SOCKET_H
#define _SYSROOT_LINUX_SOCKET_H

#include <linux/types.h>
#include <sys/uio.h>
#include <sys/socket.h>

#endif
