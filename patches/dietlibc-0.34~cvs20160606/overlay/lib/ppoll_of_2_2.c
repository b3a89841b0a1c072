/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

/*
 * 2.2 cannot change the mask and wait as one: a signal that comes between the
 * two is handled, and the wait goes on until the next. Rounded up to whole
 * milliseconds, so that no wait is shorter than was asked for.
 */
int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	sigset_t before;
	int milliseconds = -1;
	int result, error;

	if (timeout != NULL)
		milliseconds = timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000;
	if (mask != NULL && sigprocmask(SIG_SETMASK, mask, &before) < 0)
		return -1;
	result = poll(fds, count, milliseconds);
	error = errno;
	if (mask != NULL)
		sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return result;
}
