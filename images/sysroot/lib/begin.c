/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs before main, and at exit: the libc's start code calls its `main`, which is this here, and
 * knows of no constructors. The linker collects .ctors and .dtors in these arrays too.
 */
#include <stdlib.h>

typedef void (*function)(int, char **, char **);

extern function __preinit_array_start[], __preinit_array_end[];
extern function __init_array_start[], __init_array_end[];
extern function __fini_array_start[], __fini_array_end[];

extern int main(int, char **, char **);

/* For error.c. */
const char *__program = "?";

static void end(void)
{
	function *each = __fini_array_end;

	while (each != __fini_array_start)
		((void (*)(void))*--each)();
}

static void call(function *each, function *last, int argc, char **argv, char **envp)
{
	for (; each != last; each++)
		(*each)(argc, argv, envp);
}

int __begin_main(int argc, char **argv, char **envp)
{
	if (argc)
		__program = argv[0];
	/* First in, last out: behind all that constructors register. */
	atexit(end);
	call(__preinit_array_start, __preinit_array_end, argc, argv, envp);
	call(__init_array_start, __init_array_end, argc, argv, envp);
	return main(argc, argv, envp);
}
