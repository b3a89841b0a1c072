/* SPDX-License-Identifier: GPL-2.0-only */
/* What the process may do: identity and capabilities. Nothing here can be taken back. */
#include "calls.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/time.h>
#include <unistd.h>

static const struct constant capabilities[] = {
	{ "all", -1 },
	{ "net_bind_service", 1 << 10 },
	{ "net_admin", 1 << 12 },
	{ "net_raw", 1 << 13 },
	{ NULL, 0 },
};

static void do_setuid(const struct call *call, struct reply *reply)
{
	answer(reply, setuid((uid_t)number_of(call->words[1], 0, 65535)));
}

/* By settimeofday, which 2.2 has: busybox's date would have clock_settime. */
static void do_settime(const struct call *call, struct reply *reply)
{
	struct timeval now;

	now.tv_sec = number_of(call->words[1], 0, 0x7fffffff);
	now.tv_usec = 0;
	answer(reply, settimeofday(&now, NULL));
}

static void do_capdrop(const struct call *call, struct reply *reply)
{
	answer(reply, capabilities_drop((uint32_t)constant_of(call->words[1], capabilities)));
}

static void do_exit(const struct call *call, struct reply *reply)
{
	(void)reply;
	exit(call->count > 1 ? (int)number_of(call->words[1], 0, 255) : 0);
}

const struct command process_commands[] = {
	{ "setuid", "NUMBER", NO_SLOT, 2, 2, do_setuid },
	{ "settime", "SECONDS (since 1970)", NO_SLOT, 2, 2, do_settime },
	{ "capdrop", "all|net_admin|net_raw|net_bind_service", NO_SLOT, 2, 2, do_capdrop },
	{ "exit", "[STATUS]", NO_SLOT, 1, 2, do_exit },
	{ NULL, NULL, NO_SLOT, 0, 0, NULL },
};
