/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * String functions of i386, for gcc 12.
 *
 * Constant sizes are left to the compiler's builtins, everything else is a
 * call: arch/i386/lib/string.c holds what lib/string.c has no fit version of.
 */
#ifndef _I386_STRING_H_
#define _I386_STRING_H_

#define __HAVE_ARCH_STRNCPY
#define __HAVE_ARCH_STRCMP
#define __HAVE_ARCH_STRNCMP
#define __HAVE_ARCH_MEMCPY
#define __HAVE_ARCH_MEMMOVE
#define __HAVE_ARCH_MEMSET
#define __HAVE_ARCH_MEMCMP

/* linux/string.h does not declare it, and lib/string.c defines it. */
extern void *memchr(const void *s, int c, __kernel_size_t n);

#define memcpy(to, from, n)	__builtin_memcpy((to), (from), (n))
#define memset(s, c, n)		__builtin_memset((s), (c), (n))
#define memcmp(a, b, n)		__builtin_memcmp((a), (b), (n))

#endif /* _I386_STRING_H_ */
