/* SPDX-License-Identifier: GPL-2.0-only */
/* Options and controls of a socket, and of the interfaces through one. */
#include "calls.h"
#include "../common/interfaces.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>

/* Numbers where headers differ in what they name; they are the same on every PC. */
static const struct constant levels[] = {
	{ "ip", 0 }, { "socket", 1 }, { "tcp", 6 }, { "raw", 255 }, { "packet", 263 }, { NULL, 0 },
};

static const struct constant socket_options[] = {
	{ "reuseaddr", 2 },      { "type", 3 },           { "error", 4 },   { "dontroute", 5 },
	{ "broadcast", 6 },      { "sndbuf", 7 },         { "rcvbuf", 8 },  { "keepalive", 9 },
	{ "no_check", 11 },      { "priority", 12 },      { "linger", 13 }, { "bindtodevice", 25 },
	{ "attach_filter", 26 }, { "detach_filter", 27 }, { NULL, 0 },
};

static const struct constant ip_options[] = {
	{ "tos", 1 },
	{ "ttl", 2 },
	{ "hdrincl", 3 },
	{ "options", 4 },
	{ "router_alert", 5 },
	{ "recvopts", 6 },
	{ "pktinfo", 8 },
	{ "mtu_discover", 10 },
	{ "recverr", 11 },
	{ "multicast_if", 32 },
	{ "multicast_ttl", 33 },
	{ "multicast_loop", 34 },
	{ "add_membership", 35 },
	{ "drop_membership", 36 },
	{ "fw_append", 64 },
	{ "fw_replace", 65 },
	{ "fw_delete_num", 66 },
	{ "fw_delete", 67 },
	{ "fw_insert", 68 },
	{ "fw_flush", 69 },
	{ "fw_zero", 70 },
	{ "fw_check", 71 },
	{ "fw_masq_timeouts", 72 },
	{ "fw_createchain", 73 },
	{ "fw_deletechain", 74 },
	{ "fw_policy", 75 },
	{ NULL, 0 },
};

static const struct constant other_options[] = {
	{ "nodelay", 1 },
	{ "icmp_filter", 1 },
	{ NULL, 0 },
};

static const struct constant requests[] = {
	{ "fionread", 0x541b },
	{ "outq", 0x5411 },
	{ NULL, 0 },
};

static const struct constant switches[] = { { "off", 0 }, { "on", 1 }, { NULL, 0 } };

static int option_of(const char *word, int level)
{
	return constant_of(word, level == 0 ? ip_options :
				 level == 1 ? socket_options :
					      other_options);
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

	answer(reply,
	       ioctl(call->slot->fd, (unsigned int)constant_of(call->words[2], requests), &number));
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
	if (interface_request(request, interface) < 0)
		script_error("not an interface", interface);
}

static void do_ifindex(const struct call *call, struct reply *reply)
{
	struct ifreq request;
	int index;

	named(&request, call->words[2]);
	index = interface_index(call->slot->fd, call->words[2]);
	answer(reply, index < 0 ? -1 : 0);
	reply->has_value = 1;
	reply->value = index < 0 ? 0 : index;
}

static void set_flag(const struct call *call, struct reply *reply, int flag)
{
	struct ifreq request;

	named(&request, call->words[2]);
	answer(reply, interface_flag(call->slot->fd, call->words[2], flag,
				     constant_of(call->words[3], switches)));
}

static void do_promiscuous(const struct call *call, struct reply *reply)
{
	set_flag(call, reply, IFF_PROMISC);
}

static void do_up(const struct call *call, struct reply *reply)
{
	set_flag(call, reply, IFF_UP);
}

static void do_feature(const struct call *call, struct reply *reply)
{
	int result = interface_feature(call->slot->fd, call->words[2], call->words[3],
				       constant_of(call->words[4], switches));

	if (result < 0 && errno == ENOENT)
		script_error("no such feature", call->words[3]);
	answer(reply, result);
}

/* Sends, and says something about it: one control message. */
static void do_sendabout(const struct call *call, struct reply *reply)
{
	union {
		struct cmsghdr head;
		unsigned char room[256];
	} control;
	struct msghdr message;
	struct bytes bytes;
	struct address to;
	struct iovec part;

	memset(&control, 0, sizeof(control));
	memset(&message, 0, sizeof(message));
	control.head.cmsg_level = constant_of(call->words[4], levels);
	control.head.cmsg_type = option_of(call->words[5], control.head.cmsg_level);
	bytes_of(call, call->words[6], &bytes);
	if (CMSG_SPACE(bytes.length) > sizeof(control))
		script_error("too long", call->words[6]);
	control.head.cmsg_len = CMSG_LEN(bytes.length);
	memcpy(CMSG_DATA(&control.head), bytes.bytes, bytes.length);
	message.msg_control = &control;
	message.msg_controllen = CMSG_SPACE(bytes.length);
	bytes_of(call, call->words[2], &bytes);
	part.iov_base = bytes.bytes;
	part.iov_len = bytes.length;
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	address_of(call, call->words[3], &to);
	message.msg_name = to.is_null ? NULL : to.bytes;
	message.msg_namelen = to.length;
	answer(reply, sendmsg(call->slot->fd, &message, 0));
}

const struct command option_commands[] = {
	{ "setsockopt", "SOCKET LEVEL OPTION BYTES", OLD_SLOT, 5, 5, do_setsockopt },
	{ "getsockopt", "SOCKET LEVEL OPTION SIZE", OLD_SLOT, 5, 5, do_getsockopt },
	{ "sendabout", "SOCKET BYTES ADDRESS LEVEL OPTION BYTES (a control message)", OLD_SLOT, 7,
	  7, do_sendabout },
	{ "ioctl", "SOCKET fionread|outq|REQUEST [NUMBER]", OLD_SLOT, 3, 4, do_ioctl },
	{ "stamp", "SOCKET [micro] (seconds, or the microseconds beside them)", OLD_SLOT, 2, 3,
	  do_stamp },
	{ "ifindex", "SOCKET INTERFACE", OLD_SLOT, 3, 3, do_ifindex },
	{ "promiscuous", "SOCKET INTERFACE on|off", OLD_SLOT, 4, 4, do_promiscuous },
	{ "up", "SOCKET INTERFACE on|off", OLD_SLOT, 4, 4, do_up },
	{ "feature", "SOCKET INTERFACE NAME on|off (as ethtool -k has them)", OLD_SLOT, 5, 5,
	  do_feature },
	{ NULL, NULL, NO_SLOT, 0, 0, NULL },
};
