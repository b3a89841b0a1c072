/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_RESOURCE_H
#define _SYSROOT_ASM_RESOURCE_H

#include <sys/resource.h>

#endif
