/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_SYS_TYPES_H
#define _SYSROOT_SYS_TYPES_H

#include <sys/cdefs.h>
#include_next <sys/types.h>

/* The libc keeps these for _GNU_SOURCE. */
#if defined(_BSD_SOURCE) && !defined(_GNU_SOURCE)
typedef uint8_t u_int8_t;
typedef uint16_t u_int16_t;
typedef uint32_t u_int32_t;
__extension__ typedef uint64_t u_int64_t;
#endif
#define __BIT_TYPES_DEFINED__ 1

#endif
