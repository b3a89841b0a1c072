/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_TERMIOS_H
#define _SYSROOT_ASM_TERMIOS_H

#include <termios.h>

#endif
