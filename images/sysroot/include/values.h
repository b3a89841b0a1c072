/* SPDX-License-Identifier: GPL-2.0-only */
/* System V's names for what limits.h and float.h have. */
#ifndef _SYSROOT_VALUES_H
#define _SYSROOT_VALUES_H

#include <float.h>
#include <limits.h>

#define BITSPERBYTE	CHAR_BIT
#define BITS(type)	(BITSPERBYTE * (int)sizeof(type))
#define CHARBITS	BITS(char)
#define SHORTBITS	BITS(short)
#define INTBITS		BITS(int)
#define LONGBITS	BITS(long)
#define PTRBITS		BITS(char *)
#define FLOATBITS	BITS(float)
#define DOUBLEBITS	BITS(double)
#define MINSHORT	SHRT_MIN
#define MAXSHORT	SHRT_MAX
#define MININT		INT_MIN
#define MAXINT		INT_MAX
#define MINLONG		LONG_MIN
#define MAXLONG		LONG_MAX
#define MINFLOAT	FLT_MIN
#define MAXFLOAT	FLT_MAX
#define MINDOUBLE	DBL_MIN
#define MAXDOUBLE	DBL_MAX

#endif
