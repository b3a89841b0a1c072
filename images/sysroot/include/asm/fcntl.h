/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_FCNTL_H
#define _SYSROOT_ASM_FCNTL_H

#include <fcntl.h>

#endif
