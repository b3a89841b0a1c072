/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_MSG_H
#define _SYSROOT_LINUX_MSG_H

#include <sys/msg.h>

#endif
