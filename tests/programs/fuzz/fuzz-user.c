/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an ordinary user can do to a machine (SPEC M12): he is root in a user namespace and in network namespaces of
 * his own, joins them as he likes, chooses how their interfaces put packets together, and makes rules that are
 * expensive. A process that stays root turns the owner's switches meanwhile.
 */
#define _GNU_SOURCE
#include "fuzz-networks.h"
#include "fuzz.h"
#include "../common/interfaces.h"
#include "../common/namespaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define USER 1000
#ifdef __i386__
#define PRCTL 172
#else
#define PRCTL 157
#endif
#define SET_DUMPABLE 4

#define TRAIN        8  /* packets of one call */
#define LADDER       17 /* chains, one more than may be made of them */
#define SWITCHES     "/proc/sys/net/ipv4/divert/"

int fuzz_as_user;

static int to_owner[2], from_owner[2];

/* The process that stays root: a line is a switch and its value; it answers with a byte. */
static void owner(void)
{
	char line[64], path[96];
	FILE *orders = fdopen(to_owner[0], "r");

	close(to_owner[1]);
	while (orders && fgets(line, sizeof(line), orders)) {
		char *value = strchr(line, ' ');
		long done = -1;
		int fd;

		if (value) {
			*value++ = '\0';
			snprintf(path, sizeof(path), SWITCHES "%s", line);
			fd = open(path, O_WRONLY);
			if (fd >= 0) {
				done = write(fd, value, strlen(value));
				close(fd);
			}
		}
		if (write(from_owner[1], done < 0 ? "-" : "+", 1) != 1)
			break;
	}
	_exit(0);
}

void fuzz_owner(const char *name, uint32_t value)
{
	char line[64], answer;
	int length = snprintf(line, sizeof(line), "%s %lu\n", name, (unsigned long)value);

	if (write(to_owner[1], line, (size_t)length) != length ||
	    read(from_owner[0], &answer, 1) != 1 || answer != '+')
		fatal("the owner's switch");
	if (strcmp(name, "userns") == 0)
		fuzz_is_admitted = (int)value;
	if (trace)
		fprintf(trace, " owner %s", line);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fatal(path);
	close(fd);
}

void fuzz_user_begin(void)
{
	int child;

	if (pipe(to_owner) < 0 || pipe(from_owner) < 0)
		fatal("pipe");
	child = fork();
	if (child < 0)
		fatal("fork");
	if (child == 0)
		owner();
	close(to_owner[0]);
	close(from_owner[1]);
	if (setgroups(0, NULL) < 0 || setgid(USER) < 0 || setuid(USER) < 0)
		fatal("setuid");
	/* Else /proc/self is still root's. */
	if (syscall(PRCTL, SET_DUMPABLE, 1, 0, 0, 0) < 0 || syscall(UNSHARE, NEW_USER) < 0)
		fatal("unshare");
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", "0 1000 1");
	write_file("/proc/self/gid_map", "0 1000 1");
	fuzz_as_user = 1;
	make_networks();
	write_file("/proc/sys/net/ipv4/ip_forward", "1");
	/* What waits for others is gone when memory is looked at. */
	write_file("/proc/sys/net/ipv4/ipfrag_time", "1");
	fuzz_owner("userns", 1);
}

/* From another network to this one and through it, several by one call. */
static void send_train(void)
{
	static unsigned char bytes[TRAIN * 500];
	struct sockaddr_in to;
	long sent;

	memset(&to, 0, sizeof(to));
	to.sin_family = AF_INET;
	to.sin_port = htons((uint16_t)(1 + below(8)));
	to.sin_addr.s_addr = fuzz_host();
	if (chance(40))
		inet_aton(BEHIND_TUNNEL, &to.sin_addr);
	sent = sendto(sides[below(SIDES)].udp, bytes, 1 + below(sizeof(bytes)), MSG_DONTWAIT,
		      (struct sockaddr *)&to, sizeof(to));
	tally("train", sent < 0 ? errno : 0);
}

static void set_feature(void)
{
	static const char *const features[] = {
		"rx-gro",
		"rx-gro-list",
		"rx-udp-gro-forwarding",
		"tx-udp-segmentation",
		"rx-checksum",
		"tx-generic-segmentation",
		"tx-scatter-gather",
	};
	const char *name = features[below(sizeof(features) / sizeof(features[0]))];
	unsigned int side = below(SIDES);
	int far = chance(30), fd = far ? sides[side].udp : control;
	int result = interface_feature(fd, far ? sides[side].far_name : sides[side].name, name,
				       chance(60));

	tally("feature", result < 0 ? errno : 0);
}

static void set_switch(void)
{
	static const char *const names[] = {
		"passthrough",         "defrag",
		"pending_packets",     "pending_bytes",
		"net_pending_packets", "net_pending_bytes",
		"unconfirmed",
	};
	char path[80], text[16];
	unsigned int which = below(sizeof(names) / sizeof(names[0]));
	int fd;

	snprintf(path, sizeof(path), SWITCHES "%s", names[which]);
	snprintf(text, sizeof(text), "%lu",
		 (unsigned long)(which < 2 ? below(2) : below(1u << below(32))));
	fd = open(path, O_WRONLY);
	tally("switch", fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0);
	if (fd >= 0)
		close(fd);
}

/* Its packets are in a program's hands, or on their way. */
static void unplug(void)
{
	unsigned int side = below(SIDES);

	if (chance(60)) {
		tally("down", interface_flag(control, sides[side].name, IFF_UP, chance(30)) < 0 ?
				      errno :
				      0);
		return;
	}
	disconnect_side(side);
	connect_side(side);
	tally("unplug", 0);
}

void fuzz_user_call(int firewall)
{
	static const char *const switches[] = { "userns", "userns", "walk_budget" };
	unsigned int kind = below(100), which;

	if (kind < 60) {
		send_train();
	} else if (kind < 75) {
		set_feature();
	} else if (kind < 85) {
		set_switch();
	} else if (kind < 92) {
		fuzz_firewall_ladder(firewall, LADDER);
	} else if (kind < 96) {
		unplug();
	} else {
		which = below(3);
		fuzz_owner(switches[which],
			   which < 2 ? (uint32_t)chance(70) : 16 + below(1u << below(17)));
	}
}
