/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_WAIT_H
#define _SYSROOT_LINUX_WAIT_H

#include <sys/wait.h>

#endif
