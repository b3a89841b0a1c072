/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_STAT_H
#define _SYSROOT_LINUX_STAT_H

#include <sys/stat.h>

#endif
