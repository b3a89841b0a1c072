/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_TERMBITS_H
#define _SYSROOT_ASM_TERMBITS_H

#include <termios.h>

#endif
