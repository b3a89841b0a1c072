/* SPDX-License-Identifier: GPL-2.0-only */
/* The interceptor's options, and what it prints. */
#ifndef INTERCEPTOR_H
#define INTERCEPTOR_H

#include "../common/common.h"

enum { DONE = 0, USAGE = 1, CALL_FAILED = 2, GUARDED = 3 };

#define PATCHES_MAX 8

struct patch {
	unsigned long offset;
	unsigned char bytes[64];
	size_t length;
};

struct packet {
	unsigned long number;
	size_t length;
	struct sockaddr_in from;
	unsigned char *bytes;
};

struct options {
	unsigned long port, count, guard, room;
	int json, reinject, firewall, hold, idle, verbatim;
	const char *multicast;
	struct in_addr to;
	struct patch patches[PATCHES_MAX];
	int patch_count;
};

extern struct options option;

/* Ends the program with the usage line if the arguments are not right. */
void read_options(int argc, char **argv);
void usage(void);

/* How many calls have failed so far. */
extern unsigned long failures;

/* Reports the call that has just failed, by errno. */
void failed(const char *call);

/* One event a packet: show_packet opens it, show_... say what became of the packet, end_event ends it. */
void show_packet(const struct packet *packet);
void show_released(const struct packet *packet);
void show_held(void);
void show_reinjected(long bytes);
void show_not_reinjected(int error);
void end_event(void);

#endif
