/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_UIO_H
#define _SYSROOT_LINUX_UIO_H

#include <linux/types.h>
#include <sys/uio.h>

#endif
