/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_MROUTE_H
#define _SYSROOT_LINUX_MROUTE_H

#include <linux/types.h>
#include <linux/in.h>
#include_next <linux/mroute.h>

#endif
