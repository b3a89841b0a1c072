/* SPDX-License-Identifier: GPL-2.0-only */
#define _BSD_SOURCE
#include <sys/time.h>
#include <utime.h>

/* In whole seconds, which is all that 2.2's file systems keep. */
int utimes(const char *name, struct timeval *times)
{
	struct utimbuf whole;

	if (times == NULL)
		return utime(name, NULL);
	whole.actime = times[0].tv_sec;
	whole.modtime = times[1].tv_sec;
	return utime(name, &whole);
}
