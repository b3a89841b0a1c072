/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IF_TUNNEL_H
#define _SYSROOT_LINUX_IF_TUNNEL_H

#include <linux/if.h>
#include <linux/ip.h>
#include_next <linux/if_tunnel.h>

#endif
