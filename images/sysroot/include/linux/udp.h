/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_UDP_H
#define _SYSROOT_LINUX_UDP_H

#include <linux/types.h>
#include <netinet/udp.h>

#endif
