/* SPDX-License-Identifier: GPL-2.0-only */
/* Read before every file of busybox: what it and dietlibc disagree about. */
#ifndef __ASSEMBLER__

/* dietlibc's headers write the attribute's name as a macro, busybox writes it as the attribute. */
#include <string.h>
#undef __noinline__

/* Of BSD; dietlibc leaves the type to the program. */
#define caddr_t char *

/* Busybox has a getmntent_r for dietlibc, which crashes at the end of the table. Ours has its own. */
#include <features.h>
#undef __dietlibc__

#endif
