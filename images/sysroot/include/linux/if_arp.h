/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IF_ARP_H
#define _SYSROOT_LINUX_IF_ARP_H

#include <sys/socket.h>
#include <net/if_arp.h>

#endif
