/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_IP_MASQ_H
#define _SYSROOT_LINUX_IP_MASQ_H

#include <linux/types.h>
#include <linux/if.h>
#include_next <linux/ip_masq.h>

#endif
