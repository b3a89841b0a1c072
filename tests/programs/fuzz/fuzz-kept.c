/* SPDX-License-Identifier: GPL-2.0-only */
/* Kept packets (M8): the option, and verdicts on what was read. Kernels without it answer ENOPROTOOPT. */
#include "fuzz.h"
#include "../common/kept.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int fuzz_keeps;

int fuzz_kept(int fd)
{
	uint32_t value[4];
	size_t length = 12;
	int failed, option = DIVERT_VERDICT;

	value[0] = chance(90) ? below(2) : dice();
	value[1] = kept_count ?
			   kept_number(&kept[below(kept_count < FUZZ_KEPT ? kept_count : FUZZ_KEPT)]
						.from) :
			   0;
	value[1] -= chance(50) ? 0 : below(8);
	value[2] = value[1] + (chance(95) ? below(8) : dice());
	if (chance(25)) {
		option = DIVERT_KEEP;
		value[0] = chance(95) ? below(3) : dice();
		length = sizeof(value[0]);
	}
	if (chance(5))
		length = below(sizeof(value));
	failed = setsockopt(fd, SOL_DIVERT, option, value, (socklen_t)length) < 0;
	if (!failed && option == DIVERT_KEEP)
		fuzz_keeps = 1;
	return failed ? errno : 0;
}
