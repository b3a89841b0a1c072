/* SPDX-License-Identifier: GPL-2.0-only */
/* Calls about namespaces, by their numbers: the guest's libraries are older than these. For syscall(). */
#ifndef NAMESPACES_H
#define NAMESPACES_H

#define NEW_USER    0x10000000
#define NEW_NETWORK 0x40000000
#ifdef __i386__
#define UNSHARE 310
#define SETNS   346
#else
#define UNSHARE 272
#define SETNS   308
#endif

#endif
