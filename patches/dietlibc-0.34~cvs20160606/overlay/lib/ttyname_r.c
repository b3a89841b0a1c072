/* SPDX-License-Identifier: GPL-2.0-only */
#include <errno.h>
#include <string.h>
#include <unistd.h>

int ttyname_r(int fd, char *name, size_t size)
{
	const char *found = ttyname(fd);

	if (found == NULL)
		return ENOTTY;
	if (strlen(found) >= size)
		return ERANGE;
	strcpy(name, found);
	return 0;
}
