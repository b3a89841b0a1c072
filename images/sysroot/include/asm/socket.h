/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_SOCKET_H
#define _SYSROOT_ASM_SOCKET_H

#include <sys/socket.h>

#endif
