/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_POSIX_TYPES_H
#define _SYSROOT_ASM_POSIX_TYPES_H

/* <sys/statfs.h> has another structure by this name. */
#define __kernel_fsid_t __linux_fsid_t
#include_next <asm/posix_types.h>
#undef __kernel_fsid_t

#endif
