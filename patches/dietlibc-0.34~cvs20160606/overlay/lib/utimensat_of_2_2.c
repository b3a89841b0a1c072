/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <utime.h>

#ifndef UTIME_NOW
#define UTIME_NOW	((1L << 30) - 1)
#define UTIME_OMIT	((1L << 30) - 2)
#endif

static time_t chosen(const struct timespec *wanted, time_t present)
{
	if (wanted->tv_nsec == UTIME_NOW)
		return time(NULL);
	return wanted->tv_nsec == UTIME_OMIT ? present : wanted->tv_sec;
}

/* In whole seconds, as 2.2 keeps them; of other folders than the current one, by whole paths alone. */
int utimensat(int folder, const char *name, struct timespec *times, int flags)
{
	struct utimbuf whole;
	struct stat status;

	if ((folder != AT_FDCWD && name[0] != '/') || flags != 0) {
		errno = ENOSYS;
		return -1;
	}
	if (times == NULL)
		return utime(name, NULL);
	if (stat(name, &status) < 0)
		return -1;
	whole.actime = chosen(&times[0], status.st_atime);
	whole.modtime = chosen(&times[1], status.st_mtime);
	return utime(name, &whole);
}
