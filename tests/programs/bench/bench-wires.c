/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench-wires: the load of a benchmark within the guest, without its cards and what QEMU does for them. What
 * it writes to a tap is received at once, as by a card's driver; what is forwarded leaves by an interface that
 * counts and forgets it (dummy).
 *
 *   bench-wires --make TAP
 *   bench-wires --near TAP,MAC,ADDRESS --far INTERFACE,ADDRESS
 *               --bytes N --window N --milliseconds N [--warm-up N] [--patience N]
 *
 * The first makes the tap, which stays; addresses are the shell's to give. The second sends datagrams to that MAC
 * from one address to the other: as many at a time as the window holds, and the next when the far interface has
 * counted all of them. What the options mean else, and what is said at the end, is as for host/bench-load.c, but
 * that a trip is that of a window. When the measured time begins it says {"event":"measuring"}.
 *
 * Status 1: wrong arguments; 2: an interface is not there, or sent other bytes.
 */
#define _GNU_SOURCE
#include "../common/common.h"
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* linux/if_tun.h */
#define TUN             "/dev/net/tun"
#define TUN_ATTACH      0x400454ca
#define TUN_PERSIST     0x400454cb
#define TUN_TAP         0x0002
#define TUN_BARE        0x1000 /* frames without a header of its own */

#define NAME_MAX_LENGTH 15
#define FRAMES_MAX      64
/* So often others go first between two looks at the clock, for which QEMU has to be asked. */
#define YIELDS 64

struct interface_request {
	char name[NAME_MAX_LENGTH + 1];
	short flags;
	char room[22];
};

static uint8_t frames[FRAMES_MAX][ETHERNET + MTU];
static size_t lengths[FRAMES_MAX];
static unsigned int frame_count; /* of a window */
static unsigned long window_bytes;
static struct plan plan = { .patience = 5000 };
static struct route route;
static char near[NAME_MAX_LENGTH + 1], far[NAME_MAX_LENGTH + 1];
static int tap, packets_fd, bytes_fd;

void usage(void)
{
	fprintf(stderr,
		"usage: bench-wires --make TAP\n"
		"       bench-wires --near TAP,MAC,ADDRESS --far INTERFACE,ADDRESS\n"
		"                   --bytes N --window N --milliseconds N [--warm-up N] [--patience N]\n");
	exit(1);
}

static void gone(const char *what)
{
	fprintf(stderr, "bench-wires: %s: %s\n", what, errno_name(errno));
	exit(2);
}

static int attach(const char *name)
{
	struct interface_request request;
	int fd = open(TUN, O_RDWR | O_NONBLOCK);

	memset(&request, 0, sizeof(request));
	strcpy(request.name, name);
	request.flags = TUN_TAP | TUN_BARE;
	if (fd < 0 || ioctl(fd, TUN_ATTACH, &request) < 0)
		gone(TUN);
	return fd;
}

static int counter_open(const char *name)
{
	char path[80];
	int fd;

	sprintf(path, "/sys/class/net/%s/statistics/%s", far, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		gone(path);
	return fd;
}

static uint64_t counter(int fd)
{
	char text[24];
	long length = pread(fd, text, sizeof(text) - 1, 0);

	if (length <= 0)
		gone(far);
	text[length] = 0;
	return strtoull(text, NULL, 10);
}

/* The frames are the same in each window, when those of the last are gone. */
static void make_frames(void)
{
	unsigned int id, offset, carried;

	for (id = 1; id <= plan.window; id++) {
		for (offset = 0; offset < plan.bytes - IP_HEADER; offset += carried) {
			if (frame_count == FRAMES_MAX)
				usage();
			carried = frame_make(frames[frame_count], &route, plan.bytes, id, offset);
			lengths[frame_count] = ETHERNET + IP_HEADER + carried;
			window_bytes += lengths[frame_count++];
		}
	}
}

/*
 * With SCHED_FIFO nothing else runs before all of a window is there, as in a card's interrupt: neither who reads it,
 * nor a thread of the kernel, after which that would come first. A lone frame is not worth the two calls.
 */
static void before_others(int policy)
{
	struct sched_param parameters;

	parameters.sched_priority = policy == SCHED_FIFO;
	if (frame_count > 1 && sched_setscheduler(0, policy, &parameters) < 0)
		gone("sched_setscheduler");
}

/* Sends a window. Returns when the far interface has counted up to `wanted`, or after the patience with -1. */
static int send_window(uint64_t wanted, uint64_t now)
{
	uint64_t deadline = now + (uint64_t)plan.patience * 1000000u;
	unsigned int i;

	before_others(SCHED_FIFO);
	for (i = 0; i < frame_count; i++)
		if (write(tap, frames[i], lengths[i]) != (long)lengths[i])
			gone(near);
	before_others(SCHED_OTHER);
	for (i = 1; counter(packets_fd) < wanted; i++) {
		if (i % YIELDS == 0 && now_ns() > deadline)
			return -1;
		sched_yield();
	}
	return 0;
}

static void run(void)
{
	uint64_t packets_before = counter(packets_fd), bytes_before = counter(bytes_fd);
	uint64_t now = now_ns(), measured_from = now + (uint64_t)plan.warm_up * 1000000u,
		 measured_to = 0;
	uint64_t wanted = packets_before, got, begin = 0;
	unsigned long windows = 0, measured = 0, lost = 0, doubled = 0,
		      of_each = frame_count / plan.window;
	int missing = 0, i;

	/* Or it would wait for as long as others worked, for fairness. */
	nice(19);
	while (!missing && (!begin || now < measured_to)) {
		uint64_t before = now;
		int first = !measured_to && now >= measured_from;

		if (first) {
			printf("{\"event\":\"measuring\"}\n");
			fflush(stdout);
		}
		windows++;
		wanted += frame_count;
		missing = send_window(wanted, now);
		now = now_ns();
		if (begin && !missing) {
			measured++;
			trip_note(now - before);
		}
		/* In the window before others see to it that the line arrives. */
		if (first) {
			begin = now;
			measured_to = now + (uint64_t)plan.milliseconds * 1000000u;
		}
	}
	/* Had one come twice, another would be under way still. */
	for (i = 0; i < YIELDS; i++)
		sched_yield();
	got = counter(packets_fd);
	if (got < wanted)
		lost = ((unsigned long)(wanted - got) + of_each - 1) / of_each;
	else
		doubled = (unsigned long)(got - wanted);
	if (got == wanted && counter(bytes_fd) - bytes_before != (uint64_t)windows * window_bytes) {
		fprintf(stderr, "bench-wires: %s has sent other bytes than were sent to %s\n", far,
			near);
		exit(2);
	}
	printf("{\"sent\":%lu,\"received\":%lu,\"frames\":%lu,\"doubled\":%lu,\"packets\":%lu,\"seconds\":%.6f,",
	       windows * plan.window, windows * plan.window - lost, windows * frame_count, doubled,
	       measured * plan.window, (double)(now - begin) / 1e9);
	trips_print();
	printf("}\n");
}

/* What is before a comma, and where it goes on behind that. */
static const char *read_name(const char *text, char *name)
{
	size_t length = strcspn(text, ",");

	if (!length || length > NAME_MAX_LENGTH || !text[length])
		usage();
	memcpy(name, text, length);
	return text + length + 1;
}

static void read_near(const char *text)
{
	char mac[NAME_MAX_LENGTH + 3] = "";
	const char *rest = read_name(text, near);
	size_t length = strcspn(rest, ",");

	if (length >= sizeof(mac) || !rest[length])
		usage();
	memcpy(mac, rest, length);
	read_mac(mac, route.to);
	read_address(rest + length + 1, &route.source);
}

int main(int argc, char **argv)
{
	int at;

	if (argc == 3 && strcmp(argv[1], "--make") == 0 && strlen(argv[2]) <= NAME_MAX_LENGTH) {
		if (ioctl(attach(argv[2]), TUN_PERSIST, 1) < 0)
			gone(argv[2]);
		return 0;
	}
	for (at = 1; at + 1 < argc; at += 2) {
		const char *value = argv[at + 1];

		if (strcmp(argv[at], "--near") == 0)
			read_near(value);
		else if (strcmp(argv[at], "--far") == 0)
			read_address(read_name(value, far), &route.destination);
		else if (!read_plan(&plan, FRAMES_MAX, argv[at], value))
			usage();
	}
	if (at != argc || !near[0] || !far[0] || !plan.bytes || !plan.window || !plan.milliseconds)
		usage();
	make_frames();
	packets_fd = counter_open("tx_packets");
	bytes_fd = counter_open("tx_bytes");
	tap = attach(near);
	run();
	return 0;
}
