/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_UN_H
#define _SYSROOT_LINUX_UN_H

#include <sys/socket.h>
#include <sys/un.h>

#endif
