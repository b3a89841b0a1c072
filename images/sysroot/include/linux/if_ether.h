/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IF_ETHER_H
#define _SYSROOT_LINUX_IF_ETHER_H

#include <net/if_ether.h>

#endif
