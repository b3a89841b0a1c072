/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_NETLINK_H
#define _SYSROOT_LINUX_NETLINK_H

#include <linux/types.h>
#include <sys/socket.h>
#include_next <linux/netlink.h>

#endif
