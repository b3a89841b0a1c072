/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_SYSCTL_H
#define _SYSROOT_LINUX_SYSCTL_H

#include <linux/types.h>
#include_next <linux/sysctl.h>

#endif
