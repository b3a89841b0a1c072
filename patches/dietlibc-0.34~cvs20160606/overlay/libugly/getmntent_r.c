/* SPDX-License-Identifier: GPL-2.0-only */
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Spaces in names are written as \040. */
static void unescape(char *text)
{
	char *to = text;

	while (*text != '\0')
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
		    text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
			*to++ = ((text[1] - '0') << 6) | ((text[2] - '0') << 3) | (text[3] - '0');
			text += 4;
		} else {
			*to++ = *text++;
		}
	*to = '\0';
}

/* The next line of a mount table that is neither empty nor a comment, in the caller's memory. */
struct mntent *getmntent_r(FILE *stream, struct mntent *result, char *buffer, int size)
{
	while (fgets(buffer, size, stream) != NULL) {
		char *fields[6] = { NULL, NULL, NULL, "", "0", "0" };
		char *rest = buffer, *field;
		int count = 0;

		while (count < 6 && (field = strsep(&rest, " \t\n")) != NULL)
			if (*field != '\0')
				fields[count++] = field;
		if (count < 3 || *fields[0] == '#')
			continue;
		result->mnt_fsname = fields[0];
		result->mnt_dir = fields[1];
		result->mnt_type = fields[2];
		result->mnt_opts = fields[3];
		result->mnt_freq = atoi(fields[4]);
		result->mnt_passno = atoi(fields[5]);
		unescape(result->mnt_fsname);
		unescape(result->mnt_dir);
		return result;
	}
	return NULL;
}
