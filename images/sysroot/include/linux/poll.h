/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_LINUX_POLL_H
#define _SYSROOT_LINUX_POLL_H

#include <poll.h>

#endif
