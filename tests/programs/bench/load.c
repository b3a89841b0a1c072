/* SPDX-License-Identifier: GPL-2.0-only */
#define _GNU_SOURCE
#include "load.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define I386_CLOCK_GETTIME 265
#define FRAGMENT           ((MTU - IP_HEADER) & ~7)
#define PORT               9
#define MORE_FRAGMENTS     0x2000
#define TRIPS_MAX          (1 << 22)
#define MILLISECONDS_MAX   1000000

static uint32_t trips[TRIPS_MAX];
static unsigned long trip_count;

static void put16(uint8_t *to, unsigned int value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

unsigned int get16(const uint8_t *from)
{
	return (unsigned int)from[0] << 8 | from[1];
}

static unsigned int checksum(const uint8_t *header)
{
	unsigned long sum = 0;
	int i;

	for (i = 0; i < IP_HEADER; i += 2)
		sum += get16(header + i);
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return ~sum & 0xffff;
}

unsigned int frame_make(uint8_t frame[ETHERNET + MTU], const struct route *route,
			unsigned long bytes, unsigned int id, unsigned int offset)
{
	uint8_t *ip = frame + ETHERNET;
	unsigned int left = (unsigned int)bytes - IP_HEADER - offset;
	unsigned int carried = left > FRAGMENT && bytes > MTU ? FRAGMENT : left;

	memset(frame, 0, ETHERNET + MTU);
	memcpy(frame, route->to, 6);
	memcpy(frame + 6, route->from, 6);
	put16(frame + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, IP_HEADER + carried);
	put16(ip + 4, id);
	put16(ip + 6, (carried < left ? MORE_FRAGMENTS : 0) | offset / 8);
	ip[8] = 64;
	ip[9] = IPPROTO_UDP;
	memcpy(ip + 12, &route->source, 4);
	memcpy(ip + 16, &route->destination, 4);
	put16(ip + 10, checksum(ip));
	if (!offset) {
		/* No checksum: a router has nothing to do with it. */
		put16(ip + IP_HEADER, PORT);
		put16(ip + IP_HEADER + 2, PORT);
		put16(ip + IP_HEADER + 4, (unsigned int)bytes - IP_HEADER);
	}
	return carried;
}

uint64_t now_ns(void)
{
	struct timespec now;

#ifdef __i386__
	/* The libc of the guest makes it of times(), which counts in 10 ms. */
	syscall(I386_CLOCK_GETTIME, CLOCK_MONOTONIC, &now);
#else
	clock_gettime(CLOCK_MONOTONIC, &now);
#endif
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void trip_note(uint64_t ns)
{
	if (trip_count < TRIPS_MAX)
		trips[trip_count++] = (uint32_t)ns;
}

static int by_size(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static double quartile(unsigned int quarter)
{
	return trip_count ? trips[(trip_count - 1) * quarter / 4] / 1e3 : 0;
}

void trips_print(void)
{
	qsort(trips, trip_count, sizeof(trips[0]), by_size);
	printf("\"trip\":[%.1f,%.1f,%.1f]", quartile(1), quartile(2), quartile(3));
}

void read_mac(const char *text, uint8_t mac[6])
{
	unsigned int byte[6], i;
	int used = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", byte, byte + 1, byte + 2, byte + 3, byte + 4,
		   byte + 5, &used) != 6 ||
	    text[used])
		usage();
	for (i = 0; i < 6; i++)
		mac[i] = (uint8_t)byte[i];
}

void read_address(const char *text, struct in_addr *address)
{
	if (!inet_aton(text, address))
		usage();
}

void read_number(const char *text, unsigned long low, unsigned long high, unsigned long *to)
{
	char *rest;

	*to = strtoul(text, &rest, 10);
	if (rest == text || *rest || *to < low || *to > high)
		usage();
}

int read_plan(struct plan *plan, unsigned long window_max, const char *name, const char *value)
{
	const struct {
		const char *name;
		unsigned long low, high, *to;
	} options[] = {
		{ "--bytes", IP_HEADER + 8, BYTES_MAX, &plan->bytes },
		{ "--window", 1, window_max, &plan->window },
		{ "--milliseconds", 1, MILLISECONDS_MAX, &plan->milliseconds },
		{ "--warm-up", 0, MILLISECONDS_MAX, &plan->warm_up },
		{ "--patience", 1, MILLISECONDS_MAX, &plan->patience },
	};
	unsigned int i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (strcmp(name, options[i].name))
			continue;
		read_number(value, options[i].low, options[i].high, options[i].to);
		return 1;
	}
	return 0;
}
