/* SPDX-License-Identifier: GPL-2.0-only */
#include <sys/statfs.h>
#include <string.h>

/* What 2.2 fills in. It has no fragment size: what is in its place is not the kernel's. */
void __statfs64_cvt(const struct statfs *from, struct statfs64 *to);

void __statfs64_cvt(const struct statfs *from, struct statfs64 *to)
{
	memset(to, 0, sizeof(*to));
	to->f_type = from->f_type;
	to->f_bsize = from->f_bsize;
	to->f_frsize = from->f_bsize;
	to->f_blocks = from->f_blocks;
	to->f_bfree = from->f_bfree;
	to->f_bavail = from->f_bavail;
	to->f_files = from->f_files;
	to->f_ffree = from->f_ffree;
	to->f_fsid = from->f_fsid;
	to->f_namelen = from->f_namelen;
}
