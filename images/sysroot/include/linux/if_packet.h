/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IF_PACKET_H
#define _SYSROOT_LINUX_IF_PACKET_H

#include <stdint.h>
#include <sys/types.h>
#include <netpacket/packet.h>

#endif
