/* SPDX-License-Identifier: GPL-2.0-only */
#include "syscalls.h"

/*
 * void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
 *
 * 2.2 has the old call alone, which finds its six arguments in memory, as the caller left them, and
 * takes the offset in bytes.
 */
.text
.global mmap
.type	mmap,@function
mmap:
	leal	4(%esp),%eax
	pushl	%eax
	movb	$__NR_mmap,%al
	call	__unified_syscall
	popl	%ecx
	ret
.size	mmap,.-mmap
