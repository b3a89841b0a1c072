/* SPDX-License-Identifier: GPL-2.0-only */
/* What the compiler calls for C++, by the names that it has for it: new and delete, nothing that throws. */
#include <stdlib.h>
#include <unistd.h>

#define SAY(text)	write(STDERR_FILENO, text "\n", sizeof(text))

static void *allocate(size_t size)
{
	void *found = malloc(size ? size : 1);

	if (!found) {
		SAY("operator new: no memory");
		abort();
	}
	return found;
}

/* Weak: a program may have its own. */
#define WEAK	__attribute__((weak))

WEAK void *_Znwj(size_t size) { return allocate(size); }
WEAK void *_Znaj(size_t size) { return allocate(size); }
WEAK void _ZdlPv(void *pointer) { free(pointer); }
WEAK void _ZdaPv(void *pointer) { free(pointer); }
WEAK void _ZdlPvj(void *pointer, size_t size) { (void)size; free(pointer); }
WEAK void _ZdaPvj(void *pointer, size_t size) { (void)size; free(pointer); }

WEAK void __cxa_pure_virtual(void)
{
	SAY("a pure virtual function was called");
	abort();
}
