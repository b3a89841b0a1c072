/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_NETPACKET_PACKET_H
#define _SYSROOT_NETPACKET_PACKET_H

#include <stdint.h>
#include <sys/types.h>
#include_next <netpacket/packet.h>

#endif
