/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_ROUTE_H
#define _SYSROOT_LINUX_ROUTE_H

#include <sys/socket.h>
#include <net/route.h>

#endif
