/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_FS_H
#define _SYSROOT_LINUX_FS_H

/* An enumeration in the one, macros in the other: this way round they agree. */
#include <linux/types.h>
#include <sys/mount.h>
#include_next <linux/fs.h>

#endif
