/* SPDX-License-Identifier: GPL-2.0-only */
/* What the loads of benchmarks share, host/bench-load.c and bench-wires.c: frames, times, arguments. */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#define MTU       1500
#define ETHERNET  14
#define IP_HEADER 20
#define BYTES_MAX 65507

/* Where frames go: on the wire, and at last. */
struct route {
	uint8_t to[6], from[6];
	struct in_addr source, destination;
};

/* What both are asked for: a datagram's bytes with its IP header, how many go at a time, and times in milliseconds. */
struct plan {
	unsigned long bytes, window, milliseconds, warm_up, patience;
};

/*
 * Makes the frame of a UDP datagram that carries what is behind the first `offset` bytes of its payload:
 * all of it, or a fragment. `bytes` is the datagram's length with its IP header. Returns how many bytes it carries,
 * of which ETHERNET + IP_HEADER more are in the frame.
 */
unsigned int frame_make(uint8_t frame[ETHERNET + MTU], const struct route *route,
			unsigned long bytes, unsigned int id, unsigned int offset);

unsigned int get16(const uint8_t *from);

/* CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* Notes how long a round trip took; of some millions the rest is forgotten. */
void trip_note(uint64_t ns);

/* Prints "trip":[q1,median,q3] of those that were noted, in microseconds. */
void trips_print(void);

/* Each ends the program by usage(), which is its own, if the text is not such a thing. */
void read_mac(const char *text, uint8_t mac[6]);
void read_address(const char *text, struct in_addr *address);
void read_number(const char *text, unsigned long low, unsigned long high, unsigned long *to);

/* 1 if the option is one of the plan's: --bytes, --window (up to window_max), --milliseconds, --warm-up, --patience. */
int read_plan(struct plan *plan, unsigned long window_max, const char *name, const char *value);
void usage(void) __attribute__((noreturn));

#endif
