/* SPDX-License-Identifier: GPL-2.0-only */
/* Functions that glibc 2.1 or BSD had, each doing what it is for; a line each. */
#include <sys/errno.h>
#include <sys/unistd.h>
#include <dlfcn.h>
#include <error.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static sigjmp_buf place;
static volatile int alarms;

static void jump(int number)
{
	siglongjmp(place, number);
}

static void count(int number)
{
	(void)number;
	alarms++;
}

static void jumps(void)
{
	sigset_t blocked;
	volatile int times = 0;

	signal(SIGUSR1, jump);
	/* With the mask: a second signal comes through, too. */
	if (sigsetjmp(place, 1) != 0)
		times++;
	if (times < 2)
		raise(SIGUSR1);
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	printf("sigsetjmp %d %d\n", times, sigismember(&blocked, SIGUSR1));
}

static void alarm_again(void)
{
	signal(SIGALRM, count);
	if (ualarm(10000, 10000) != 0)
		alarms = -100;
	while (alarms >= 0 && alarms < 2)
		pause();
	ualarm(900000, 0);
	printf("ualarm %d %d\n", alarms, ualarm(0, 0) > 100000);
}

static void once(void)
{
	printf("once\n");
}

static void threads(void)
{
	static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
	static pthread_once_t first = PTHREAD_ONCE_INIT;
	pthread_mutexattr_t kind;
	pthread_mutex_t again;
	pthread_key_t key;
	int locked, second, tried, left, over;

	locked = pthread_mutex_lock(&plain);
	second = pthread_mutex_lock(&plain);
	tried = pthread_mutex_trylock(&plain);
	left = pthread_mutex_unlock(&plain);
	over = pthread_mutex_unlock(&plain);
	printf("mutex %d %d %d %d %d\n", locked, second == EDEADLK, tried == EBUSY, left,
	       over == EPERM);
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&again, &kind);
	printf("recursive %d %d\n", pthread_mutex_lock(&again), pthread_mutex_lock(&again));
	pthread_once(&first, once);
	pthread_once(&first, once);
	pthread_key_create(&key, free);
	pthread_setspecific(key, &again);
	printf("key %d %d\n", pthread_getspecific(key) == &again,
	       pthread_equal(pthread_self(), pthread_self()));
}

static void loads(void)
{
	void *found = dlopen("libc.so.6", RTLD_NOW);
	const char *why = dlerror();

	printf("dlopen %d, %s\n", found != NULL, why);
	printf("dlerror %d\n", dlerror() != NULL);
}

int main(void)
{
	jumps();
	alarm_again();
	threads();
	loads();
	fflush(stdout);
	error(0, ENOENT, "the %s", "first");
	error(3, 0, "the last");
	return 0;
}
