/* SPDX-License-Identifier: GPL-2.0-only */
/* Nothing can be loaded into a static program; a program that asks is told so, and may do without. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

static const char *error;

static void *refuse(void)
{
	error = "this is a static program: it cannot load shared objects";
	return NULL;
}

void *dlopen(const char *name, int flags)
{
	(void)name, (void)flags;
	return refuse();
}

void *dlsym(void *handle, const char *symbol)
{
	(void)handle, (void)symbol;
	return refuse();
}

int dlclose(void *handle)
{
	(void)handle;
	refuse();
	return -1;
}

int dladdr(void *address, Dl_info *info)
{
	(void)address, (void)info;
	refuse();
	return 0;
}

const char *dlerror(void)
{
	const char *said = error;

	error = NULL;
	return said;
}
