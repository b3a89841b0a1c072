/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IN_SYSTM_H
#define _SYSROOT_LINUX_IN_SYSTM_H

#include <sys/types.h>
#include <netinet/in_systm.h>

#endif
