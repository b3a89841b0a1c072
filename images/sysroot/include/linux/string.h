/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_STRING_H
#define _SYSROOT_LINUX_STRING_H

#include <string.h>

#endif
