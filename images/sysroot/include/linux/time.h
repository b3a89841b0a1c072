/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_TIME_H
#define _SYSROOT_LINUX_TIME_H

#include <sys/time.h>
#include <time.h>

#endif
