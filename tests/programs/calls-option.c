/* SPDX-License-Identifier: GPL-2.0-only */
/* Options and controls of a socket, and of the interfaces through one. */
#include "calls.h"

#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

/* Numbers where headers differ in what they name; they are the same on every PC. */
static const struct constant levels[] = {
	{ "ip", 0 }, { "socket", 1 }, { "tcp", 6 }, { "raw", 255 }, { "packet", 263 }, { NULL, 0 },
};

static const struct constant socket_options[] = {
	{ "reuseaddr", 2 }, { "type", 3 }, { "error", 4 }, { "dontroute", 5 }, { "broadcast", 6 },
	{ "sndbuf", 7 }, { "rcvbuf", 8 }, { "keepalive", 9 }, { "no_check", 11 },
	{ "priority", 12 }, { "linger", 13 }, { "bindtodevice", 25 },
	{ "attach_filter", 26 }, { "detach_filter", 27 }, { NULL, 0 },
};

static const struct constant ip_options[] = {
	{ "tos", 1 }, { "ttl", 2 }, { "hdrincl", 3 }, { "options", 4 }, { "router_alert", 5 },
	{ "recvopts", 6 }, { "pktinfo", 8 }, { "mtu_discover", 10 }, { "recverr", 11 },
	{ "multicast_if", 32 }, { "multicast_ttl", 33 }, { "multicast_loop", 34 },
	{ "add_membership", 35 }, { "drop_membership", 36 }, { "fw_append", 64 },
	{ "fw_replace", 65 }, { "fw_delete_num", 66 }, { "fw_delete", 67 }, { "fw_insert", 68 },
	{ "fw_flush", 69 }, { "fw_zero", 70 }, { "fw_check", 71 }, { "fw_masq_timeouts", 72 },
	{ "fw_createchain", 73 }, { "fw_deletechain", 74 }, { "fw_policy", 75 }, { NULL, 0 },
};

static const struct constant other_options[] = {
	{ "nodelay", 1 }, { "icmp_filter", 1 }, { NULL, 0 },
};

static const struct constant requests[] = {
	{ "fionread", 0x541b }, { "outq", 0x5411 }, { NULL, 0 },
};

static const struct constant switches[] = { { "off", 0 }, { "on", 1 }, { NULL, 0 } };

static int option_of(const char *word, int level)
{
	return constant_of(word, level == 0 ? ip_options : level == 1 ? socket_options : other_options);
}

static void do_setsockopt(const struct call *call, struct reply *reply)
{
	int level = constant_of(call->words[2], levels);
	int option = option_of(call->words[3], level);
	struct bytes bytes;

	bytes_of(call, call->words[4], &bytes);
	answer(reply, setsockopt(call->slot->fd, level, option, bytes.is_null ? NULL : bytes.bytes,
				 (socklen_t)bytes.length));
}

static void do_getsockopt(const struct call *call, struct reply *reply)
{
	static unsigned char room[4096];
	static struct bytes data;
	int level = constant_of(call->words[2], levels);
	int option = option_of(call->words[3], level), number;
	socklen_t size = (socklen_t)number_of(call->words[4], 0, sizeof(room));

	memset(room, 0, sizeof(room));
	answer(reply, getsockopt(call->slot->fd, level, option, room, &size));
	if (reply->result < 0)
		return;
	data.bytes = room;
	data.length = size;
	reply->data = &data;
	if (size == sizeof(number)) {
		memcpy(&number, room, sizeof(number));
		reply->has_value = 1;
		reply->value = number;
	}
}

/* Controls that read or write one int. */
static void do_ioctl(const struct call *call, struct reply *reply)
{
	int number = call->count > 3 ? (int)number_of(call->words[3], -0x7fffffff, 0x7fffffff) : 0;

	answer(reply, ioctl(call->slot->fd, (unsigned int)constant_of(call->words[2], requests),
			    &number));
	reply->has_value = 1;
	reply->value = number;
}

/* The time of what was received last, in seconds; no time is ENOENT. */
static void do_stamp(const struct call *call, struct reply *reply)
{
	struct timeval time = { 0, 0 };

	answer(reply, ioctl(call->slot->fd, 0x8906 /* SIOCGSTAMP */, &time));
	reply->has_value = 1;
	reply->value = call->count > 2 ? time.tv_usec : time.tv_sec;
}

static void named(struct ifreq *request, const char *interface)
{
	memset(request, 0, sizeof(*request));
	if (strlen(interface) >= sizeof(request->ifr_name))
		script_error("not an interface", interface);
	strcpy(request->ifr_name, interface);
}

static void do_ifindex(const struct call *call, struct reply *reply)
{
	struct ifreq request;

	named(&request, call->words[2]);
	answer(reply, ioctl(call->slot->fd, 0x8933 /* SIOCGIFINDEX */, &request));
	reply->has_value = 1;
	reply->value = request.ifr_ifindex;
}

static void set_flag(const struct call *call, struct reply *reply, int flag)
{
	struct ifreq request;

	named(&request, call->words[2]);
	answer(reply, ioctl(call->slot->fd, SIOCGIFFLAGS, &request));
	if (reply->result < 0)
		return;
	request.ifr_flags = (short)(request.ifr_flags & ~flag);
	if (constant_of(call->words[3], switches))
		request.ifr_flags = (short)(request.ifr_flags | flag);
	answer(reply, ioctl(call->slot->fd, SIOCSIFFLAGS, &request));
}

static void do_promiscuous(const struct call *call, struct reply *reply)
{
	set_flag(call, reply, IFF_PROMISC);
}

static void do_up(const struct call *call, struct reply *reply)
{
	set_flag(call, reply, IFF_UP);
}

/* linux/ethtool.h, as far as it is needed here: the guest's headers may be older. */
#define SIOCETHTOOL_	0x8946
#define GET_NAMES	0x1b
#define GET_COUNT	0x37
#define SET_FEATURES	0x3b
#define OF_FEATURES	4
#define NAME_BYTES	32

struct names {
	uint32_t command, set, count;
	char name[][NAME_BYTES];
};

static int ethtool(const struct call *call, void *data)
{
	struct ifreq request;

	named(&request, call->words[2]);
	request.ifr_data = data;
	return ioctl(call->slot->fd, SIOCETHTOOL_, &request);
}

/* The features of interfaces by their names, whose numbers differ from kernel to kernel. */
static struct names *feature_names(const struct call *call)
{
	struct { uint32_t command, reserved; uint64_t sets; uint32_t count; } info = {
		GET_COUNT, 0, 1 << OF_FEATURES, 0,
	};
	struct names *names;

	if (ethtool(call, &info) < 0)
		return NULL;
	names = calloc(1, sizeof(*names) + (size_t)info.count * NAME_BYTES);
	if (!names)
		return NULL;
	names->command = GET_NAMES;
	names->set = OF_FEATURES;
	names->count = info.count;
	if (ethtool(call, names) >= 0)
		return names;
	free(names);
	return NULL;
}

static void do_feature(const struct call *call, struct reply *reply)
{
	struct { uint32_t command, words; struct { uint32_t valid, wanted; } word[8]; } change;
	struct names *names = feature_names(call);
	uint32_t i;

	if (!names) {
		answer(reply, -1);
		return;
	}
	for (i = 0; i < names->count; i++)
		if (strncmp(names->name[i], call->words[3], NAME_BYTES) == 0)
			break;
	if (i == names->count || i >= 32 * 8)
		script_error("no such feature", call->words[3]);
	memset(&change, 0, sizeof(change));
	change.command = SET_FEATURES;
	change.words = (names->count + 31) / 32;
	change.word[i / 32].valid = (uint32_t)1 << i % 32;
	if (constant_of(call->words[4], switches))
		change.word[i / 32].wanted = (uint32_t)1 << i % 32;
	free(names);
	answer(reply, ethtool(call, &change));
}

const struct command option_commands[] = {
	{ "setsockopt", "SOCKET LEVEL OPTION BYTES", OLD_SLOT, 5, 5, do_setsockopt },
	{ "getsockopt", "SOCKET LEVEL OPTION SIZE", OLD_SLOT, 5, 5, do_getsockopt },
	{ "ioctl", "SOCKET fionread|outq|REQUEST [NUMBER]", OLD_SLOT, 3, 4, do_ioctl },
	{ "stamp", "SOCKET [micro] (seconds, or the microseconds beside them)", OLD_SLOT, 2, 3, do_stamp },
	{ "ifindex", "SOCKET INTERFACE", OLD_SLOT, 3, 3, do_ifindex },
	{ "promiscuous", "SOCKET INTERFACE on|off", OLD_SLOT, 4, 4, do_promiscuous },
	{ "up", "SOCKET INTERFACE on|off", OLD_SLOT, 4, 4, do_up },
	{ "feature", "SOCKET INTERFACE NAME on|off (as ethtool -k has them)", OLD_SLOT, 5, 5, do_feature },
	{ NULL, NULL, NO_SLOT, 0, 0, NULL },
};
