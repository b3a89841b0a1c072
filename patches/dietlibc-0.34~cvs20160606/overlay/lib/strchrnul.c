/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>

char *strchrnul(const char *text, int character)
{
	while (*text != '\0' && *text != (char)character)
		text++;
	return (char *)text;
}
