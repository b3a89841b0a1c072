/* SPDX-License-Identifier: GPL-2.0-only */
/* Making sockets, naming them, waiting for them. */
#include "calls.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <unistd.h>

static const struct constant domains[] = {
	{ "unix", 1 }, { "inet", 2 }, { "netlink", 16 }, { "packet", 17 }, { NULL, 0 },
};

static const struct constant types[] = {
	{ "stream", SOCK_STREAM },
	{ "dgram", SOCK_DGRAM },
	{ "raw", SOCK_RAW },
	{ "packet", 10 },
	{ NULL, 0 },
};

static const struct constant protocols[] = {
	{ "ip", 0 },       { "icmp", 1 },  { "tcp", 6 }, { "udp", 17 },
	{ "divert", 254 }, { "raw", 255 }, { NULL, 0 },
};

static const struct constant open_modes[] = {
	{ "read", O_RDONLY },
	{ "write", O_WRONLY },
	{ "both", O_RDWR },
	{ NULL, 0 },
};

static const struct constant ends[] = { { "read", 0 }, { "write", 1 }, { "both", 2 }, { NULL, 0 } };

static const struct constant events[] = {
	{ "in", POLLIN },    { "pri", POLLPRI },   { "out", POLLOUT }, { "err", POLLERR },
	{ "hup", POLLHUP },  { "nval", POLLNVAL }, { "rdnorm", 0x40 }, { "rdband", 0x80 },
	{ "wrnorm", 0x100 }, { "wrband", 0x200 },  { NULL, 0 },
};

static const struct constant sides[] = { { "read", 1 }, { "write", 2 }, { NULL, 0 } };

static const struct constant modes[] = { { "block", 0 }, { "nonblock", 1 }, { NULL, 0 } };

static void take(struct slot *slot, struct reply *reply, int fd)
{
	answer(reply, fd);
	if (fd < 0)
		return;
	if (slot->fd >= 0)
		close(slot->fd);
	slot->fd = fd;
	slot->from.length = 0;
	slot->data.length = 0;
	reply->result = 0; /* descriptors differ from run to run; the name is what counts */
}

static void do_socket(const struct call *call, struct reply *reply)
{
	take(call->slot, reply,
	     socket(constant_of(call->words[2], domains), constant_of(call->words[3], types),
		    constant_of(call->words[4], protocols)));
}

static void do_open(const struct call *call, struct reply *reply)
{
	take(call->slot, reply, open(call->words[2], constant_of(call->words[3], open_modes)));
}

static void do_bind(const struct call *call, struct reply *reply)
{
	struct address address;

	address_of(call, call->words[2], &address);
	answer(reply, bind(call->slot->fd, address.is_null ? NULL : (void *)address.bytes,
			   address.length));
}

/*
 * Binds divert sockets to port 0, one after the other, and closes each. The value is how many
 * different ports getsockname() told; 0 among them counts as an error.
 */
static void do_freeports(const struct call *call, struct reply *reply)
{
	static unsigned char seen[65536];
	long i, times = number_of(call->words[1], 1, 100000);
	struct sockaddr_in address;
	socklen_t size;
	int fd, result = 0;

	memset(seen, 0, sizeof(seen));
	reply->has_value = 1;
	for (i = 0; i < times && result >= 0; i++) {
		fd = result = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);
		if (fd < 0)
			break;
		memset(&address, 0, sizeof(address));
		address.sin_family = AF_INET;
		size = sizeof(address);
		result = bind(fd, (struct sockaddr *)&address, size);
		if (result >= 0)
			result = getsockname(fd, (struct sockaddr *)&address, &size);
		if (result >= 0 && !address.sin_port) {
			errno = EADDRNOTAVAIL;
			result = -1;
		}
		if (result >= 0 && !seen[ntohs(address.sin_port)]++)
			reply->value++;
		close(fd);
	}
	answer(reply, result < 0 ? -1 : times);
}

static void do_connect(const struct call *call, struct reply *reply)
{
	struct address address;

	address_of(call, call->words[2], &address);
	answer(reply, connect(call->slot->fd, address.is_null ? NULL : (void *)address.bytes,
			      address.length));
}

static void do_listen(const struct call *call, struct reply *reply)
{
	answer(reply, listen(call->slot->fd, (int)number_of(call->words[2], 0, 1024)));
}

static void do_accept(const struct call *call, struct reply *reply)
{
	take(find_slot(call->words[2], 1), reply, accept(call->slot->fd, NULL, NULL));
}

static void show_name(struct reply *reply, int result, struct address *name)
{
	answer(reply, result);
	if (result >= 0) {
		reply->address = name;
		reply->address_name = "address";
	}
}

static void do_getsockname(const struct call *call, struct reply *reply)
{
	static struct address name;

	memset(&name, 0, sizeof(name));
	name.length = sizeof(name.bytes);
	show_name(reply, getsockname(call->slot->fd, (void *)name.bytes, &name.length), &name);
}

static void do_getpeername(const struct call *call, struct reply *reply)
{
	static struct address name;

	memset(&name, 0, sizeof(name));
	name.length = sizeof(name.bytes);
	show_name(reply, getpeername(call->slot->fd, (void *)name.bytes, &name.length), &name);
}

static void do_poll(const struct call *call, struct reply *reply)
{
	struct pollfd fd = { .fd = call->slot->fd };

	fd.events = (short)constant_of(call->words[2], events);
	answer(reply, poll(&fd, 1, (int)number_of(call->words[3], -1, 600000)));
	reply->flag_table = events;
	reply->flag_name = "revents";
	reply->flags = fd.revents;
}

static void do_select(const struct call *call, struct reply *reply)
{
	int want = constant_of(call->words[2], sides);
	long milliseconds = number_of(call->words[3], 0, 600000);
	struct timeval time = { milliseconds / 1000, milliseconds % 1000 * 1000 };
	fd_set readable, writable;
	int fd = call->slot->fd;

	FD_ZERO(&readable);
	FD_ZERO(&writable);
	if (fd < 0 || fd >= FD_SETSIZE)
		script_error("not open, or too many for select", call->words[1]);
	if (want & 1)
		FD_SET(fd, &readable);
	if (want & 2)
		FD_SET(fd, &writable);
	answer(reply, select(fd + 1, &readable, &writable, NULL, &time));
	reply->flag_table = sides;
	reply->flag_name = "ready";
	if (reply->result >= 0)
		reply->flags =
			(FD_ISSET(fd, &readable) ? 1 : 0) | (FD_ISSET(fd, &writable) ? 2 : 0);
}

static void do_mode(const struct call *call, struct reply *reply)
{
	int flags = fcntl(call->slot->fd, F_GETFL, 0);

	if (flags >= 0) {
		flags &= ~O_NONBLOCK;
		if (constant_of(call->words[2], modes))
			flags |= O_NONBLOCK;
		flags = fcntl(call->slot->fd, F_SETFL, flags);
	}
	answer(reply, flags);
}

static void do_shutdown(const struct call *call, struct reply *reply)
{
	answer(reply, shutdown(call->slot->fd, constant_of(call->words[2], ends)));
}

static void do_close(const struct call *call, struct reply *reply)
{
	answer(reply, close(call->slot->fd));
	call->slot->fd = -1;
}

const struct command socket_commands[] = {
	{ "socket", "SOCKET DOMAIN TYPE PROTOCOL", NEW_SLOT, 5, 5, do_socket },
	{ "open", "SOCKET PATH read|write|both", NEW_SLOT, 4, 4, do_open },
	{ "bind", "SOCKET ADDRESS", OLD_SLOT, 3, 3, do_bind },
	{ "freeports", "TIMES (binds to port 0; value: how many different ports)", NO_SLOT, 2, 2,
	  do_freeports },
	{ "connect", "SOCKET ADDRESS", OLD_SLOT, 3, 3, do_connect },
	{ "listen", "SOCKET BACKLOG", OLD_SLOT, 3, 3, do_listen },
	{ "accept", "SOCKET NEW", OLD_SLOT, 3, 3, do_accept },
	{ "getsockname", "SOCKET", OLD_SLOT, 2, 2, do_getsockname },
	{ "getpeername", "SOCKET", OLD_SLOT, 2, 2, do_getpeername },
	{ "poll", "SOCKET EVENTS MILLISECONDS", OLD_SLOT, 4, 4, do_poll },
	{ "select", "SOCKET read|write MILLISECONDS", OLD_SLOT, 4, 4, do_select },
	{ "mode", "SOCKET block|nonblock", OLD_SLOT, 3, 3, do_mode },
	{ "shutdown", "SOCKET read|write|both", OLD_SLOT, 3, 3, do_shutdown },
	{ "close", "SOCKET", OLD_SLOT, 2, 2, do_close },
	{ NULL, NULL, NO_SLOT, 0, 0, NULL },
};
