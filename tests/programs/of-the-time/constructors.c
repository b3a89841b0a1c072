/* SPDX-License-Identifier: GPL-2.0-only */
/* What runs before main and behind it, by both of the sections that compilers have had for it. */
#include <stdio.h>
#include <stdlib.h>

static int before;

static void first(void) __attribute__((constructor));
static void first(void)
{
	before |= 1;
}

static void second(void)
{
	before |= 2;
}
static void (*of_old[])(void) __attribute__((section(".ctors"), used)) = { second };

static void last(void) __attribute__((destructor));
static void last(void)
{
	printf("last\n");
}

static void registered(void)
{
	printf("registered\n");
}

int main(int argc, char **argv)
{
	printf("before %d, %d arguments, %s\n", before, argc, argv[1]);
	atexit(registered);
	return 7;
}
