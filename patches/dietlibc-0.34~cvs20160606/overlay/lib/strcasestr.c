/* SPDX-License-Identifier: GPL-2.0-only */
#include <string.h>
#include <strings.h>

char *strcasestr(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (;; text++) {
		if (strncasecmp(text, part, length) == 0)
			return (char *)text;
		if (*text == '\0')
			return NULL;
	}
}
