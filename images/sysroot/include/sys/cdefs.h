/* SPDX-License-Identifier: GPL-2.0-only */
#include <sysroot-features.h>
#include_next <sys/cdefs.h>

/* To use what is old is no mistake here. */
#undef __attribute_dontuse__
#define __attribute_dontuse__
