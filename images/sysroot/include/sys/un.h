/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_SYS_UN_H
#define _SYSROOT_SYS_UN_H

#include <sys/socket.h>
#include_next <sys/un.h>

#endif
