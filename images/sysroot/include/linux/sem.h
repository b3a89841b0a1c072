/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_SEM_H
#define _SYSROOT_LINUX_SEM_H

#include <sys/sem.h>

#endif
