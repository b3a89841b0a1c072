/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IF_H
#define _SYSROOT_LINUX_IF_H

#include <linux/types.h>
#include <sys/socket.h>
#include <net/if.h>

#endif
