/* SPDX-License-Identifier: GPL-2.0-only */
#include <stddef.h>
#include <sys/time.h>
#include <unistd.h>

#define MILLION	1000000

static struct timeval of(unsigned int microseconds)
{
	struct timeval time = { .tv_sec = microseconds / MILLION, .tv_usec = microseconds % MILLION };

	return time;
}

unsigned int ualarm(unsigned int value, unsigned int interval)
{
	struct itimerval timer = { .it_interval = of(interval), .it_value = of(value) }, before;

	if (setitimer(ITIMER_REAL, &timer, &before) < 0)
		return (unsigned int)-1;
	return (unsigned int)(before.it_value.tv_sec * MILLION + before.it_value.tv_usec);
}
