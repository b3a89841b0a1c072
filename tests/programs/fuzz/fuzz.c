/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Calls that a kernel must survive (SPEC I6, R4, S6, S10): packets and addresses for divert sockets, and
 * structures for the firewall, right and wrong, with traffic that the rules divert. Which call comes
 * as number N depends on the seed and N alone, and so does all that came before it: a find is had
 * again by the same seed and number of calls, in a guest as fresh.
 *
 *	fuzz [as-user] SEED CALLS SECONDS [TRACE]
 *
 * ends after so many calls, or so many seconds if that is sooner and not 0; then all that it has set
 * is undone. It says nothing by network before that, as its rules may stop it: how far it is, it
 * writes to the console, and from call TRACE on each call, before it is made. Exit status 0, or 1 for an answer that no call may give, 2 if a call fails
 * that must not.
 */
#include "fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONSOLE_EVERY 256 /* calls */
#define TALLIES       64
#define DRAIN_SECONDS 10

struct kept kept[FUZZ_KEPT];
unsigned int kept_count;
FILE *trace;
int fuzz_is_admitted = 1;

static struct {
	const char *call;
	int error;
	unsigned long count;
} tallies[TALLIES];

static uint32_t state;
static unsigned long number;
static int divert[FUZZ_SOCKETS], unbound, firewall, udp, icmp;
static FILE *console;
static int finds;

void dice_set(uint32_t seed, uint32_t call)
{
	state = seed * 2654435761u ^ (call + 1) * 2246822519u;
	if (!state)
		state = 1;
	dice();
	dice();
}

/* Marsaglia's xorshift with 13, 17, 5; the product spreads what small seeds have in common. */
uint32_t dice(void)
{
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state * 2891336453u >> 3 ^ state;
}

uint32_t below(uint32_t bound)
{
	return bound ? dice() % bound : 0;
}

int chance(unsigned int percent)
{
	return below(100) < percent;
}

void scribble(void *bytes, size_t length)
{
	unsigned char *byte = bytes;

	while (length--)
		*byte++ = (unsigned char)dice();
}

void spoil(void *bytes, size_t length)
{
	unsigned int turns = 1 + below(3);

	while (length && turns--) {
		unsigned char *byte = (unsigned char *)bytes + below((uint32_t)length);

		*byte = (unsigned char)(chance(60) ? *byte ^ 1u << below(8) : dice());
	}
}

void tally(const char *call, int error)
{
	unsigned int i;

	for (i = 0; i < TALLIES - 1 && tallies[i].call; i++)
		if (tallies[i].error == error && strcmp(tallies[i].call, call) == 0)
			break;
	tallies[i].call = call;
	tallies[i].error = error;
	tallies[i].count++;
}

void fatal(const char *what)
{
	printf("{\"event\":\"failed\",\"call\":%lu,\"what\":\"%s\",\"error\":\"%s\"}\n", number,
	       what, errno_name(errno));
	exit(2);
}

void find(const char *what, int error)
{
	printf("{\"event\":\"find\",\"call\":%lu,\"what\":\"%s\",\"error\":\"%s\"}\n", number, what,
	       error ? errno_name(error) : "");
	finds++;
}

static int open_socket(int type, int protocol)
{
	int fd = socket(AF_INET, type, protocol);

	if (fd < 0)
		fatal("socket");
	return fd;
}

static void open_divert(unsigned int which)
{
	struct sockaddr_in port;

	memset(&port, 0, sizeof(port));
	port.sin_family = AF_INET;
	port.sin_port = htons((uint16_t)(FUZZ_PORT + which));
	divert[which] = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (!fuzz_is_admitted && (divert[which] >= 0 || errno != EPERM))
		find("a divert socket where the machine's owner does not want any", errno);
	if (!fuzz_is_admitted)
		return;
	if (divert[which] < 0)
		fatal("socket");
	if (bind(divert[which], (struct sockaddr *)&port, sizeof(port)) < 0)
		fatal("bind");
}

/* SPEC I6, and what any datagram socket may answer that does not wait; M8 for what is not kept. */
static int may_be_answered(int error)
{
	static const int errors[] = {
		EINVAL, EMSGSIZE, EADDRNOTAVAIL, ENETDOWN, ENETUNREACH,
		EPERM,  EAGAIN,   ENOBUFS,       ENOMEM,   ESTALE,
	};
	unsigned int i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i] == error)
			return 1;
	/* The last: of a socket that the machine's owner did not let it have. */
	return (error == ENOENT && fuzz_keeps) || (error == EBADF && fuzz_as_user);
}

static void inject(void)
{
	static unsigned char packet[FUZZ_LARGEST];
	unsigned char address[128];
	const struct kept *source;
	size_t length = fuzz_packet(packet, &source);
	socklen_t size = fuzz_address(address, source);
	int has_none = chance(8);
	int fd = chance(2) ? unbound : divert[below(FUZZ_SOCKETS)];
	long sent;

	if (source && chance(10))
		length = 0;
	if (trace) {
		fprintf(trace, " sendto %lu bytes ", (unsigned long)length);
		hex_write(trace, packet, length < 80 ? length : 80);
		fprintf(trace, " to %u bytes ", (unsigned int)size);
		hex_write(trace, address, has_none ? 0 : size);
		fflush(trace);
	}
	sent = sendto(fd, packet, length, MSG_DONTWAIT, has_none ? NULL : (void *)address, size);
	if (trace)
		fprintf(trace, ": %s", sent < 0 ? errno_name(errno) : "sent");
	tally("sendto", sent < 0 ? errno : 0);
	if (sent < 0 && !may_be_answered(errno))
		find("an error that sendto() does not have", errno);
	if (sent >= 0 && (size_t)sent != length)
		find("sendto() sent a part of a packet", 0);
}

static void receive(void)
{
	struct kept *to = &kept[kept_count % FUZZ_KEPT];
	socklen_t size = sizeof(to->from);
	unsigned int which = below(FUZZ_SOCKETS);
	long got = recvfrom(divert[which], to->bytes, sizeof(to->bytes), MSG_DONTWAIT,
			    (struct sockaddr *)&to->from, &size);
	const unsigned char *bytes = to->bytes;

	tally("recvfrom", got < 0 ? errno : 0);
	if (trace)
		fprintf(trace, " recvfrom %u: %ld", which, got);
	if (got < 0)
		return;
	to->length = (size_t)got;
	kept_count++;
	/* SPEC S7: whole, its length and its checksum valid. */
	if (got < 20 || bytes[0] >> 4 != 4 || (bytes[0] & 15) < 5 || (bytes[0] & 15) * 4 > got)
		find("a packet was read that has no header", 0);
	else if (got != (bytes[2] << 8 | bytes[3]))
		find("a packet was read that has another length than it says", 0);
	else if (fuzz_checksum(bytes, (bytes[0] & 15u) * 4) != 0)
		find("a packet was read whose header checksum is wrong", 0);
	if (size != sizeof(to->from) || to->from.sin_family != AF_INET)
		find("a packet came with no address", 0);
}

/* This host's own packets, for the rules to divert. */
static void send_traffic(void)
{
	static unsigned char bytes[6000];
	struct sockaddr_in to;
	long sent;

	memset(&to, 0, sizeof(to));
	to.sin_family = AF_INET;
	to.sin_addr.s_addr = fuzz_host();
	to.sin_port = htons((uint16_t)(1 + below(65535)));
	bytes[0] = 8;
	sent = sendto(chance(50) ? udp : icmp, bytes, 8 + (chance(80) ? below(300) : below(5900)),
		      MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
	tally("traffic", sent < 0 ? errno : 0);
}

/* What becomes of packets that were read and kept. */
static void settle(void)
{
	int error = fuzz_kept(divert[below(FUZZ_SOCKETS)]);

	tally("kept", error);
	if (trace)
		fprintf(trace, " kept: %s", error ? errno_name(error) : "done");
	if (error && error != ENOPROTOOPT && error != ENOENT && !may_be_answered(error))
		find("an error that a verdict does not have", error);
}

/* Options of a divert socket, as of any other. */
static void set_option(void)
{
	static const int options[] = { 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 32, 33, 34, 35, 36 };
	unsigned char value[16];
	unsigned int which = below(FUZZ_SOCKETS);
	uint32_t own_address = fuzz_host(), group = htonl(0xef010203);
	int level = chance(75) ? 0 : 1, failed;
	/* Of the socket's: buffers, priority, the route, an interface by name. */
	static const int general[] = { 5, 7, 8, 12, 25 };

	scribble(value, sizeof(value));
	if (chance(60))
		memset(value, 0, sizeof(value)), value[0] = (unsigned char)below(4);
	if (chance(20))
		memcpy(value, &group, 4), memcpy(value + 4, &own_address, 4);
	else if (chance(20))
		memcpy(value, &own_address, 4);
	failed = setsockopt(divert[which], level, level ? general[below(5)] : options[below(15)],
			    value, 1 + below(sizeof(value))) < 0;
	tally("option", failed ? errno : 0);
}

/*
 * Whether packets of a divert socket are still on their way out. 2.2.12 looks at a socket that is
 * closed then again only after 10 s, and the memory would not be back before that.
 */
static int is_busy(int fd)
{
	int bytes;

	if (ioctl(fd, 0x5411 /* TIOCOUTQ */, &bytes) < 0)
		fatal("TIOCOUTQ");
	return bytes != 0;
}

/* What is queued to be read is gone. */
static void reopen(void)
{
	unsigned int which = below(FUZZ_SOCKETS);

	if (divert[which] >= 0 && is_busy(divert[which])) {
		tally("reopen", EBUSY);
		return;
	}
	close(divert[which]);
	open_divert(which);
	tally("reopen", 0);
}

static void look(void)
{
	static const char *const files[] = { "/proc/net/divert", "/proc/net/ip_fwchains",
					     "/proc/net/ip_fwnames" };
	static char text[4096];
	int fd = open(files[below(3)], O_RDONLY);
	long got = 0;

	if (fd < 0)
		return;
	while ((got = read(fd, text, 1 + below(sizeof(text)))) > 0)
		;
	tally("read", got < 0 ? errno : 0);
	close(fd);
}

static void call(void)
{
	unsigned int kind = below(fuzz_as_user ? 130 : 100);

	if (trace)
		fprintf(trace, "fuzz %lu:", number);
	if (kind < 52)
		inject();
	else if (kind < 68)
		receive();
	else if (kind < 84)
		fuzz_firewall(firewall);
	else if (kind < 91)
		send_traffic();
	else if (kind < 95)
		settle();
	else if (kind < 97)
		set_option();
	else if (kind < 98)
		reopen();
	else if (kind < 100)
		look();
	else
		fuzz_user_call(firewall);
	if (trace) {
		fputc('\n', trace);
		fflush(trace);
	}
}

static void report_progress(unsigned long seed)
{
	if (fprintf(console, "fuzz: seed %lu, call %lu\n", seed, number) < 0 ||
	    fflush(console) != 0)
		fatal("write to the console");
}

static void end(void)
{
	time_t begin = time(NULL);
	unsigned int i;

	if (fuzz_as_user)
		fuzz_owner("userns", 1);
	/* A fragment that waits for others, or a packet for its neighbour, does so for 3 s at most. */
	for (i = 0; i < FUZZ_SOCKETS; i++) {
		while (divert[i] >= 0 && is_busy(divert[i]) && time(NULL) - begin < DRAIN_SECONDS)
			poll(NULL, 0, 20);
		close(divert[i]);
	}
	close(unbound);
	close(udp);
	close(icmp);
	if (fuzz_firewall_reset(firewall) != 0)
		fatal("the firewall cannot be reset");
	printf("{\"event\":\"end\",\"calls\":%lu,\"finds\":%d,\"answers\":{", number, finds);
	for (i = 0; i < TALLIES && tallies[i].call; i++)
		printf("%s\"%s %s\":%lu", i ? "," : "", tallies[i].call,
		       tallies[i].error ? errno_name(tallies[i].error) : "done", tallies[i].count);
	printf("}}\n");
}

int main(int argc, char **argv)
{
	unsigned long seed, calls, seconds, from = 0xffffffff;
	unsigned int i;
	time_t begin;
	int as_user = argc > 1 && strcmp(argv[1], "as-user") == 0;

	argc -= as_user;
	argv += as_user;
	if ((argc != 4 && argc != 5) || number_read(argv[1], 0, 0xffffffff, &seed) < 0 ||
	    number_read(argv[2], 1, 0xffffffff, &calls) < 0 ||
	    number_read(argv[3], 0, 1000000, &seconds) < 0 ||
	    (argc == 5 && number_read(argv[4], 0, 0xffffffff, &from) < 0)) {
		fprintf(stderr, "usage: fuzz [as-user] SEED CALLS SECONDS [TRACE]\n");
		return 2;
	}
	console = fopen("/dev/console", "w");
	if (!console)
		fatal("/dev/console");
	if (as_user)
		fuzz_user_begin();
	for (i = 0; i < FUZZ_SOCKETS; i++)
		open_divert(i);
	unbound = open_socket(SOCK_RAW, IPPROTO_DIVERT);
	firewall = open_socket(SOCK_RAW, IPPROTO_RAW);
	udp = open_socket(SOCK_DGRAM, 0);
	icmp = open_socket(SOCK_RAW, IPPROTO_ICMP);
	begin = time(NULL);
	for (number = 0; number < calls && !finds; number++) {
		if (number % CONSOLE_EVERY == 0) {
			if (seconds && time(NULL) - begin >= (time_t)seconds)
				break;
			report_progress(seed);
		}
		if (number >= from)
			trace = console;
		dice_set((uint32_t)seed, (uint32_t)number);
		call();
	}
	trace = NULL;
	end();
	return finds ? 1 : 0;
}
