/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_SIGNAL_H
#define _SYSROOT_ASM_SIGNAL_H

#include <signal.h>

#endif
