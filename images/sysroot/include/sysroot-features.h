/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a program gets that asks for nothing, as from the libcs of the time: all that BSD and System V
 * have (u_int, u_short, caddr_t), unless it asks for pure ANSI C. Read by the headers that every other
 * one includes.
 */
#if !defined(__STRICT_ANSI__) || defined(_GNU_SOURCE)
#ifndef _BSD_SOURCE
#define _BSD_SOURCE 1
#endif
#ifndef _SVID_SOURCE
#define _SVID_SOURCE 1
#endif
#endif
