/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_SHM_H
#define _SYSROOT_LINUX_SHM_H

#include <sys/shm.h>

#endif
