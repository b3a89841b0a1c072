/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench-load: the load of a benchmark, for the host, not for the guest. It plays the hosts at the far
 * ends of both wires: sends UDP datagrams into the first, and counts those that the guest forwards to
 * the second. No more datagrams are under way than the window holds, so that no card drops one; with a
 * window of 1, the time of each is the round trip.
 *
 *   bench-load --near FD,GUEST-MAC,MAC,ADDRESS --far FD,GUEST-MAC,MAC,ADDRESS
 *              --bytes N --window N --milliseconds N [--warm-up N] [--patience N]
 *              [--process PID]
 *
 * FD is an open datagram socket on which one datagram is one frame; --bytes is a datagram's length with
 * its IP header, above 1500 it is sent in fragments. Times are in milliseconds. At the end one line:
 *   {"sent":9,"received":9,"frames":27,"doubled":0,"packets":7,"seconds":0.5,"processor":0.4,
 *    "trip":[q1,median,q3]}
 * sent and received are all datagrams, frames those sent of them, packets those received in the
 * measured time, after the warm-up; processor is the time in seconds that the process PID took of all
 * processors meanwhile; trip is in microseconds. What has not come back when none came for the patience
 * (5000) is lost: sent and received differ then. Status 1: wrong arguments; 2: a wire
 * is gone.
 */
#include "load.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define SHORTEST   60
#define FRAME_MAX  (65536 + ETHERNET)
#define WINDOW_MAX 64
#define SLOTS      256 /* more than the window, so that those under way have one each */

struct end {
	int fd;
	uint8_t guest_mac[6], mac[6];
	struct in_addr address;
};

/* A datagram under way: what of it has come, a bit for each KiB that a fragment begins in. */
struct slot {
	uint64_t begin, seen;
	unsigned int bytes;
	uint16_t id;
	uint8_t busy;
};

static struct end near, far;
static struct route route;
static struct plan plan = { .patience = 5000 };
static unsigned long process;
static struct slot slots[SLOTS];
static unsigned long sent, received, frames, doubled, packets;
static unsigned int under_way, offset; /* offset: where the datagram that is being sent goes on */
static uint64_t measured_from, measured_to, last_arrival, processor_from, processor_to;

/* The time that the process whose cost is asked for has had of processors. */
static uint64_t processor_ns(void)
{
	struct timespec used;
	clockid_t clock;

	if (!process)
		return 0;
	if (clock_getcpuclockid((pid_t)process, &clock) || clock_gettime(clock, &used)) {
		fprintf(stderr, "bench-load: there is no process %lu\n", process);
		exit(2);
	}
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

void usage(void)
{
	fprintf(stderr,
		"usage: bench-load --near FD,GUEST-MAC,MAC,ADDRESS --far FD,GUEST-MAC,MAC,ADDRESS\n"
		"                  --bytes N --window N --milliseconds N [--warm-up N] [--patience N]\n"
		"                  [--process PID]\n");
	exit(1);
}

static void gone(const char *what)
{
	fprintf(stderr, "bench-load: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* 0, or -1 with EAGAIN: the wire takes no more for now. */
static int put_frame(const struct end *end, const uint8_t *frame, size_t length)
{
	if (send(end->fd, frame, length, MSG_DONTWAIT) >= 0)
		return 0;
	if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
		gone("send");
	return -1;
}

/* The next frame of the datagram that is being sent, or the first of a new one. */
static int send_frame(void)
{
	static uint8_t frame[ETHERNET + MTU];
	unsigned int id = (unsigned int)(sent % 65535) + 1;
	unsigned int carried = frame_make(frame, &route, plan.bytes, id, offset);
	size_t length = ETHERNET + IP_HEADER + carried;
	struct slot *slot = &slots[id % SLOTS];

	if (!offset) {
		memset(slot, 0, sizeof(*slot));
		slot->id = (uint16_t)id;
		slot->begin = now_ns();
	}
	if (put_frame(&near, frame, length < SHORTEST ? SHORTEST : length) < 0)
		return -1;
	frames++;
	if (!offset) {
		slot->busy = 1;
		under_way++;
	}
	offset += carried;
	if (offset == plan.bytes - IP_HEADER) {
		offset = 0;
		sent++;
	}
	return 0;
}

static void answer_arp(const struct end *end, const uint8_t *frame, size_t length)
{
	static const uint8_t question[] = { 0, 1, 8, 0, 6, 4, 0, 1 };
	uint8_t answer[SHORTEST];

	if (length < 42 || memcmp(frame + 14, question, sizeof(question)) ||
	    memcmp(frame + 38, &end->address, 4))
		return;
	memset(answer, 0, sizeof(answer));
	memcpy(answer, frame + 22, 6);
	memcpy(answer + 6, end->mac, 6);
	memcpy(answer + 12, frame + 12, 10);
	answer[21] = 2;
	memcpy(answer + 22, end->mac, 6);
	memcpy(answer + 28, frame + 38, 4);
	memcpy(answer + 32, frame + 22, 10);
	/* If the wire is full the guest asks again. */
	put_frame(end, answer, sizeof(answer));
}

static void arrived(struct slot *slot)
{
	slot->busy = 0;
	under_way--;
	received++;
	last_arrival = now_ns();
	if (last_arrival < measured_from || last_arrival > measured_to)
		return;
	packets++;
	trip_note(last_arrival - slot->begin);
}

static void take_frame(const uint8_t *frame, size_t length)
{
	const uint8_t *ip = frame + ETHERNET;
	unsigned int carried, id;
	struct slot *slot;
	uint64_t bit;

	if (length < ETHERNET + IP_HEADER || ip[0] != 0x45 || ip[9] != IPPROTO_UDP ||
	    memcmp(frame, far.mac, 6) || memcmp(ip + 12, &near.address, 4) ||
	    memcmp(ip + 16, &far.address, 4))
		return;
	id = get16(ip + 4);
	slot = &slots[id % SLOTS];
	bit = (uint64_t)1 << (get16(ip + 6) & 0x1fff) * 8 / 1024;
	if (!slot->busy || slot->id != id || (slot->seen & bit)) {
		doubled++;
		return;
	}
	carried = get16(ip + 2) - IP_HEADER;
	slot->seen |= bit;
	slot->bytes += carried;
	if (slot->bytes == plan.bytes - IP_HEADER)
		arrived(slot);
}

static void take_all(const struct end *end)
{
	static uint8_t frame[FRAME_MAX];
	ssize_t length;

	while ((length = recv(end->fd, frame, sizeof(frame), MSG_DONTWAIT)) > 0) {
		if (length >= ETHERNET && get16(frame + 12) == 0x0806)
			answer_arp(end, frame, (size_t)length);
		else if (end == &far && length >= ETHERNET && get16(frame + 12) == 0x0800)
			take_frame(frame, (size_t)length);
	}
	if (length < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
		gone("receive");
	if (length == 0)
		gone("receive: end");
}

static void run(void)
{
	struct pollfd polled[2] = { { near.fd, POLLIN, 0 }, { far.fd, POLLIN, 0 } };
	uint64_t now = now_ns();

	measured_from = now + (uint64_t)plan.warm_up * 1000000u;
	measured_to = measured_from + (uint64_t)plan.milliseconds * 1000000u;
	last_arrival = now;
	for (;;) {
		/* The guest may have to ask for the far host's address first, and keeps few packets then. */
		unsigned long most = received ? plan.window : 1;
		int blocked = 0;

		now = now_ns();
		if (!processor_from && now >= measured_from)
			processor_from = processor_ns();
		if (!processor_to && now >= measured_to)
			processor_to = processor_ns();
		/* A datagram that was begun is sent to its end. */
		while (!blocked && (offset || (now < measured_to && under_way < most)))
			blocked = send_frame() < 0;
		if (now >= measured_to && !under_way && !offset)
			return;
		if (under_way && now - last_arrival > (uint64_t)plan.patience * 1000000u)
			return;
		polled[0].events = (short)(POLLIN | (blocked ? POLLOUT : 0));
		if (poll(polled, 2, 100) < 0 && errno != EINTR)
			gone("poll");
		if (polled[1].revents)
			take_all(&far);
		if (polled[0].revents & ~POLLOUT)
			take_all(&near);
	}
}

static void read_end(const char *text, struct end *end)
{
	char copy[80], *guest_mac, *mac, *address;
	unsigned long fd;

	if (strlen(text) >= sizeof(copy))
		usage();
	strcpy(copy, text);
	guest_mac = strchr(copy, ',');
	mac = guest_mac ? strchr(guest_mac + 1, ',') : NULL;
	address = mac ? strchr(mac + 1, ',') : NULL;
	if (!address)
		usage();
	*guest_mac++ = *mac++ = *address++ = 0;
	read_number(copy, 0, 65535, &fd);
	end->fd = (int)fd;
	read_mac(guest_mac, end->guest_mac);
	read_mac(mac, end->mac);
	read_address(address, &end->address);
}

int main(int argc, char **argv)
{
	int at;

	near.fd = far.fd = -1;
	if (argc % 2 == 0)
		usage();
	for (at = 1; at < argc; at += 2) {
		const char *value = argv[at + 1];

		if (strcmp(argv[at], "--near") == 0)
			read_end(value, &near);
		else if (strcmp(argv[at], "--far") == 0)
			read_end(value, &far);
		else if (strcmp(argv[at], "--process") == 0)
			read_number(value, 1, 0x7fffffff, &process);
		else if (!read_plan(&plan, WINDOW_MAX, argv[at], value))
			usage();
	}
	if (near.fd < 0 || far.fd < 0 || !plan.bytes || !plan.window || !plan.milliseconds)
		usage();
	memcpy(route.to, near.guest_mac, 6);
	memcpy(route.from, near.mac, 6);
	route.source = near.address;
	route.destination = far.address;
	run();
	printf("{\"sent\":%lu,\"received\":%lu,\"frames\":%lu,\"doubled\":%lu,\"packets\":%lu,"
	       "\"seconds\":%.3f,\"processor\":%.6f,",
	       sent, received, frames, doubled, packets, (double)plan.milliseconds / 1e3,
	       (double)(processor_to - processor_from) / 1e9);
	trips_print();
	printf("}\n");
	return 0;
}
