/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

/* Ticks of the clock a second, as times() counts them on i386. */
#define TICKS 100

/*
 * The wall clock in microseconds, and the time since boot in hundredths of a second: no finer clock of
 * 2.2's stands still when the date is set.
 */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	struct timeval wall;
	struct tms used;
	unsigned long ticks;

	switch (clock) {
	case CLOCK_REALTIME:
		if (gettimeofday(&wall, NULL) < 0)
			return -1;
		now->tv_sec = wall.tv_sec;
		now->tv_nsec = wall.tv_usec * 1000;
		return 0;
	case CLOCK_MONOTONIC:
		ticks = times(&used);
		now->tv_sec = ticks / TICKS;
		now->tv_nsec = ticks % TICKS * (1000000000 / TICKS);
		return 0;
	default:
		errno = EINVAL;
		return -1;
	}
}
