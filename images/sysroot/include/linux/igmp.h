/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IGMP_H
#define _SYSROOT_LINUX_IGMP_H

#include <linux/types.h>
#include <asm/byteorder.h>
#include_next <linux/igmp.h>

#endif
