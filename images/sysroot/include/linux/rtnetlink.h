/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_RTNETLINK_H
#define _SYSROOT_LINUX_RTNETLINK_H

#include <linux/netlink.h>
#include_next <linux/rtnetlink.h>

#endif
