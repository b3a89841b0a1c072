/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_TYPES_H
#define _SYSROOT_LINUX_TYPES_H

/* The types of programs are the libc's; the kernel has __u8 and __kernel_dev_t beside them. */
#include <sys/types.h>
#include <stdint.h>
#include_next <linux/types.h>

#endif
