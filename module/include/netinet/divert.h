/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Divert sockets for programs: socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT), and what
 * this project's module has besides (linux/divert.h). No C library has the number.
 */
#ifndef _NETINET_DIVERT_H
#define _NETINET_DIVERT_H

#include <netinet/in.h>
#include <linux/divert.h>

#ifndef IPPROTO_DIVERT
#define IPPROTO_DIVERT 254
#endif

#endif /* _NETINET_DIVERT_H */
