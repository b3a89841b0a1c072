/* SPDX-License-Identifier: GPL-2.0-only */
#include "bench.h"
#include "../common/common.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

volatile unsigned long packet_count, call_count;

void failed(const char *call)
{
	printf("{\"event\":\"failed\",\"call\":\"%s\",\"error\":\"%s\"}\n", call,
	       errno_name(errno));
	fflush(stdout);
	exit(2);
}

/* The program is in a system call, or between two: nothing of stdio is in use. */
static void end(int number)
{
	(void)number;
	printf("{\"event\":\"end\",\"packets\":%lu,\"calls\":%lu}\n", packet_count, call_count);
	fflush(stdout);
	_exit(0);
}

void ready(void)
{
	signal(SIGTERM, end);
	printf("{\"event\":\"ready\"}\n");
	fflush(stdout);
}
