/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_TCP_H
#define _SYSROOT_LINUX_TCP_H

#include <linux/types.h>
#include <asm/byteorder.h>
#include <netinet/tcp.h>

#endif
