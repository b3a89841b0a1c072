/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_STATFS_H
#define _SYSROOT_ASM_STATFS_H

#include <linux/posix_types.h>
#include <sys/statfs.h>

#endif
