/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _SYSROOT_ASM_BYTEORDER_H
#define _SYSROOT_ASM_BYTEORDER_H

/* htonl and its like are functions of the libc here; the rest is as on every i386. */
#include <asm/types.h>
#include <netinet/in.h>

#ifndef __LITTLE_ENDIAN
#define __LITTLE_ENDIAN 1234
#endif
#define __LITTLE_ENDIAN_BITFIELD

#define __swab16(x)	__builtin_bswap16(x)
#define __swab32(x)	__builtin_bswap32(x)
#define __swab64(x)	__builtin_bswap64(x)

#define __cpu_to_le16(x)	((__u16)(x))
#define __cpu_to_le32(x)	((__u32)(x))
#define __cpu_to_le64(x)	((__u64)(x))
#define __le16_to_cpu(x)	((__u16)(x))
#define __le32_to_cpu(x)	((__u32)(x))
#define __le64_to_cpu(x)	((__u64)(x))
#define __cpu_to_be16(x)	__swab16(x)
#define __cpu_to_be32(x)	__swab32(x)
#define __cpu_to_be64(x)	__swab64(x)
#define __be16_to_cpu(x)	__swab16(x)
#define __be32_to_cpu(x)	__swab32(x)
#define __be64_to_cpu(x)	__swab64(x)
#define __constant_htonl(x)	__builtin_bswap32(x)
#define __constant_ntohl(x)	__builtin_bswap32(x)
#define __constant_htons(x)	__builtin_bswap16(x)
#define __constant_ntohs(x)	__builtin_bswap16(x)

#endif
