/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IPC_H
#define _SYSROOT_LINUX_IPC_H

#include <sys/ipc.h>

#endif
