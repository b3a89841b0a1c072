/* SPDX-License-Identifier: GPL-2.0-only */
/* What the guest's programs of benchmarks share: how they begin and end, and calls for many messages. */
#ifndef BENCH_H
#define BENCH_H

#include <sys/socket.h>

#define BATCH_MAX 64

/* Libraries that are older than the calls have neither their numbers nor this structure. */
struct message {
	struct msghdr header;
	unsigned int length;
};

#ifdef __i386__
#define RECVMMSG 337
#define SENDMMSG 345
#else
#define RECVMMSG 299
#define SENDMMSG 307
#endif
#define WAIT_FOR_ONE 0x10000

/* So many packets were given back, which so many calls received. */
extern volatile unsigned long packet_count, call_count;

/* Says {"event":"failed","call":"sendto","error":"EPERM"} by errno, and ends the program with status 2. */
void failed(const char *call);

/* Says {"event":"ready"}; from now on SIGTERM ends the program with {"event":"end","packets":9,"calls":9}. */
void ready(void);

#endif
