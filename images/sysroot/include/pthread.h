/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's libc has no threads. Here is what a library that only wants to be ready for them asks for,
 * as it is true of a program with one thread: locks, keys, once. What begins or awaits another thread is
 * refused by the compiler, which says why.
 */
#ifndef _SYSROOT_PTHREAD_H
#define _SYSROOT_PTHREAD_H

#include <sched.h>
#include <signal.h>
#include <sys/cdefs.h>
#include <sys/types.h>
#include <time.h>

__BEGIN_DECLS

#define PTHREAD_KEYS_MAX	32

typedef unsigned long pthread_t;
typedef unsigned int pthread_key_t;
typedef int pthread_once_t, pthread_attr_t, pthread_mutexattr_t, pthread_condattr_t, pthread_cond_t;
typedef struct { int type, locked; } pthread_mutex_t;

enum {
	PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE,
	PTHREAD_MUTEX_DEFAULT = PTHREAD_MUTEX_NORMAL
};

#define PTHREAD_ONCE_INIT	0
#define PTHREAD_COND_INITIALIZER	0
#define PTHREAD_MUTEX_INITIALIZER	{ PTHREAD_MUTEX_DEFAULT, 0 }
#define PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP	{ PTHREAD_MUTEX_RECURSIVE, 0 }

pthread_t pthread_self(void) __THROW;
int pthread_equal(pthread_t, pthread_t) __THROW;
int pthread_once(pthread_once_t *, void (*)(void));
int pthread_sigmask(int, const sigset_t *, sigset_t *) __THROW;
int pthread_mutexattr_init(pthread_mutexattr_t *) __THROW;
int pthread_mutexattr_destroy(pthread_mutexattr_t *) __THROW;
int pthread_mutexattr_settype(pthread_mutexattr_t *, int) __THROW;
int pthread_mutex_init(pthread_mutex_t *, const pthread_mutexattr_t *) __THROW;
int pthread_mutex_destroy(pthread_mutex_t *) __THROW;
int pthread_mutex_lock(pthread_mutex_t *) __THROW;
int pthread_mutex_trylock(pthread_mutex_t *) __THROW;
int pthread_mutex_unlock(pthread_mutex_t *) __THROW;
int pthread_cond_init(pthread_cond_t *, const pthread_condattr_t *) __THROW;
int pthread_cond_destroy(pthread_cond_t *) __THROW;
int pthread_cond_signal(pthread_cond_t *) __THROW;
int pthread_cond_broadcast(pthread_cond_t *) __THROW;
int pthread_key_create(pthread_key_t *, void (*)(void *)) __THROW;
int pthread_key_delete(pthread_key_t) __THROW;
int pthread_setspecific(pthread_key_t, const void *) __THROW;
void *pthread_getspecific(pthread_key_t) __THROW;

#define __NO_THREADS \
	__attribute__((__error__("there are no threads in the guest's libc: use fork, or poll")))

int pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) __NO_THREADS;
int pthread_join(pthread_t, void **) __NO_THREADS;
int pthread_detach(pthread_t) __NO_THREADS;
int pthread_cancel(pthread_t) __NO_THREADS;
int pthread_kill(pthread_t, int) __NO_THREADS;
void pthread_exit(void *) __NO_THREADS;
int pthread_cond_wait(pthread_cond_t *, pthread_mutex_t *) __NO_THREADS;
int pthread_cond_timedwait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *) __NO_THREADS;

__END_DECLS

#endif
