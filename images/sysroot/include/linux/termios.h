/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_TERMIOS_H
#define _SYSROOT_LINUX_TERMIOS_H

#include <termios.h>

#endif
