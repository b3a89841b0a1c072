/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IP_FW_H
#define _SYSROOT_LINUX_IP_FW_H

/* The kernel's own leaves it to the program to have included all of these before it. */
#include <linux/types.h>
#include <linux/if.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/icmp.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include_next <linux/ip_fw.h>

#endif
