/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>

/*
 * void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
 *
 * On the stack that is mmap's call, with the high half of the offset behind it: 2.2 has no use for
 * one other than 0.
 */
.text
.global mmap64
.type	mmap64,@function
mmap64:
	cmpl	$0,28(%esp)
	je	mmap
	movl	$EOVERFLOW,errno
	movl	$-1,%eax
	ret
.size	mmap64,.-mmap64
