/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_UTSNAME_H
#define _SYSROOT_LINUX_UTSNAME_H

#include <sys/utsname.h>

#endif
