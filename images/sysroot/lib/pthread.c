/* SPDX-License-Identifier: GPL-2.0-only */
/* pthread.h says what is here: what is true of a program with one thread, and nothing else. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static const void *values[PTHREAD_KEYS_MAX];
static int taken[PTHREAD_KEYS_MAX];

pthread_t pthread_self(void)
{
	return 1;
}

int pthread_equal(pthread_t one, pthread_t other)
{
	return one == other;
}

int pthread_once(pthread_once_t *once, void (*run)(void))
{
	if (!*once) {
		*once = 1;
		run();
	}
	return 0;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *before)
{
	return sigprocmask(how, set, before) < 0 ? errno : 0;
}

int pthread_mutexattr_init(pthread_mutexattr_t *attributes)
{
	*attributes = PTHREAD_MUTEX_DEFAULT;
	return 0;
}

int pthread_mutexattr_destroy(pthread_mutexattr_t *attributes)
{
	(void)attributes;
	return 0;
}

int pthread_mutexattr_settype(pthread_mutexattr_t *attributes, int type)
{
	if (type < PTHREAD_MUTEX_NORMAL || type > PTHREAD_MUTEX_RECURSIVE)
		return EINVAL;
	*attributes = type;
	return 0;
}

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
	mutex->type = attributes ? *attributes : PTHREAD_MUTEX_DEFAULT;
	mutex->locked = 0;
	return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
	return mutex->locked ? EBUSY : 0;
}

/* Who locks it a second time would wait for itself for ever, and is told instead. */
static int lock(pthread_mutex_t *mutex, int held)
{
	if (mutex->locked && mutex->type != PTHREAD_MUTEX_RECURSIVE)
		return held;
	mutex->locked++;
	return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
	return lock(mutex, EDEADLK);
}

int pthread_mutex_trylock(pthread_mutex_t *mutex)
{
	return lock(mutex, EBUSY);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
	if (!mutex->locked)
		return EPERM;
	mutex->locked--;
	return 0;
}

int pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
	(void)condition, (void)attributes;
	return 0;
}

int pthread_cond_destroy(pthread_cond_t *condition)
{
	(void)condition;
	return 0;
}

/* Nobody waits. */
int pthread_cond_signal(pthread_cond_t *condition)
{
	(void)condition;
	return 0;
}

int pthread_cond_broadcast(pthread_cond_t *condition)
{
	(void)condition;
	return 0;
}

/* The destructor is for the end of a thread; the only one ends with the program, which calls none. */
int pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
	int i;

	(void)destroy;
	for (i = 0; i < PTHREAD_KEYS_MAX; i++)
		if (!taken[i]) {
			taken[i] = 1;
			values[i] = NULL;
			*key = (pthread_key_t)i;
			return 0;
		}
	return EAGAIN;
}

static int is_key(pthread_key_t key)
{
	return key < PTHREAD_KEYS_MAX && taken[key];
}

int pthread_key_delete(pthread_key_t key)
{
	if (!is_key(key))
		return EINVAL;
	taken[key] = 0;
	return 0;
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
	if (!is_key(key))
		return EINVAL;
	values[key] = value;
	return 0;
}

void *pthread_getspecific(pthread_key_t key)
{
	return is_key(key) ? (void *)values[key] : NULL;
}
