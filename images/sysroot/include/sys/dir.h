/* SPDX-License-Identifier: GPL-2.0-only */
/* BSD's first name for what is in a folder. */
#ifndef _SYSROOT_SYS_DIR_H
#define _SYSROOT_SYS_DIR_H

#include <dirent.h>

#define direct	dirent

#endif
