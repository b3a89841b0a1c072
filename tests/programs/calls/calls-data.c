/* SPDX-License-Identifier: GPL-2.0-only */
/* Sending and receiving. */
#include "calls.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define PARTS_MAX     8
#define CONTROL_BYTES 512

static const struct constant flags_table[] = {
	{ "oob", 0x1 },         { "peek", 0x2 },        { "dontroute", 0x4 }, { "ctrunc", 0x8 },
	{ "trunc", 0x20 },      { "dontwait", 0x40 },   { "eor", 0x80 },      { "waitall", 0x100 },
	{ "errqueue", 0x2000 }, { "nosignal", 0x4000 }, { NULL, 0 },
};

static int flags_of(const struct call *call, int at)
{
	return call->count > at ? constant_of(call->words[at], flags_table) : 0;
}

static void do_send(const struct call *call, struct reply *reply)
{
	struct bytes bytes;

	bytes_of(call, call->words[2], &bytes);
	answer(reply, send(call->slot->fd, bytes.is_null ? NULL : bytes.bytes, bytes.length,
			   flags_of(call, 3)));
}

static void do_write(const struct call *call, struct reply *reply)
{
	struct bytes bytes;

	bytes_of(call, call->words[2], &bytes);
	answer(reply, write(call->slot->fd, bytes.is_null ? NULL : bytes.bytes, bytes.length));
}

static void do_sendto(const struct call *call, struct reply *reply)
{
	struct bytes bytes;
	struct address to;

	bytes_of(call, call->words[2], &bytes);
	address_of(call, call->words[3], &to);
	answer(reply, sendto(call->slot->fd, bytes.is_null ? NULL : bytes.bytes, bytes.length,
			     flags_of(call, 4), to.is_null ? NULL : (void *)to.bytes, to.length));
}

/* The bytes come in parts of the sizes given, and a last part with the rest. */
static void do_sendmsg(const struct call *call, struct reply *reply)
{
	struct iovec parts[PARTS_MAX];
	struct msghdr message;
	struct bytes bytes;
	struct address to;
	size_t used = 0;
	int i;

	bytes_of(call, call->words[2], &bytes);
	address_of(call, call->words[3], &to);
	memset(&message, 0, sizeof(message));
	message.msg_name = to.is_null ? NULL : to.bytes;
	message.msg_namelen = to.length;
	message.msg_iov = parts;
	for (i = 5; i == 5 || i <= call->count; i++) {
		size_t size = bytes.length - used;

		if (i < call->count)
			size = (size_t)number_of(call->words[i], 0, (long)size);
		if (i - 5 == PARTS_MAX)
			script_error("too many parts", call->words[0]);
		parts[i - 5].iov_base = bytes.is_null ? NULL : bytes.bytes + used;
		parts[i - 5].iov_len = size;
		message.msg_iovlen++;
		used += size;
	}
	answer(reply, sendmsg(call->slot->fd, &message, flags_of(call, 4)));
}

/* Room for what the slot receives; kept, so that `last` can send it again. */
static unsigned char *room_of(const struct call *call, long *size)
{
	struct slot *slot = call->slot;

	*size = number_of(call->words[2], 0, VALUE_MAX);
	if (!slot->data.bytes)
		slot->data.bytes = malloc(VALUE_MAX);
	if (!slot->data.bytes)
		script_error("no memory for", call->words[0]);
	return slot->data.bytes;
}

static void received(const struct call *call, struct reply *reply, long result)
{
	answer(reply, result);
	if (result < 0)
		return;
	call->slot->data.length = (size_t)(result < VALUE_MAX ? result : VALUE_MAX);
	reply->data = &call->slot->data;
}

static void received_from(const struct call *call, struct reply *reply, const struct address *from)
{
	if (reply->result < 0)
		return;
	call->slot->from = *from;
	reply->address = &call->slot->from;
	reply->address_name = "from";
}

static void do_recv(const struct call *call, struct reply *reply)
{
	long size;
	unsigned char *room = room_of(call, &size);

	received(call, reply, recv(call->slot->fd, room, (size_t)size, flags_of(call, 3)));
}

static void do_read(const struct call *call, struct reply *reply)
{
	long size;
	unsigned char *room = room_of(call, &size);

	received(call, reply, read(call->slot->fd, room, (size_t)size));
}

static void do_recvfrom(const struct call *call, struct reply *reply)
{
	struct address from;
	long size;
	unsigned char *room = room_of(call, &size);

	memset(&from, 0, sizeof(from));
	from.length = sizeof(from.bytes);
	received(call, reply,
		 recvfrom(call->slot->fd, room, (size_t)size, flags_of(call, 3), (void *)from.bytes,
			  &from.length));
	received_from(call, reply, &from);
}

/* With what options such as IP_PKTINFO add to what is received, as the kernel wrote it. */
static void do_recvmsg(const struct call *call, struct reply *reply)
{
	static unsigned char control_room[CONTROL_BYTES];
	static struct bytes control;
	struct msghdr message;
	struct iovec part;
	struct address from;
	long size;
	unsigned char *room = room_of(call, &size);

	part.iov_base = room;
	part.iov_len = (size_t)size;
	memset(&from, 0, sizeof(from));
	memset(&message, 0, sizeof(message));
	message.msg_name = from.bytes;
	message.msg_namelen = sizeof(from.bytes);
	message.msg_iov = &part;
	message.msg_iovlen = 1;
	message.msg_control = control_room;
	message.msg_controllen = sizeof(control_room);
	received(call, reply, recvmsg(call->slot->fd, &message, flags_of(call, 3)));
	from.length = message.msg_namelen;
	received_from(call, reply, &from);
	reply->flag_table = flags_table;
	reply->flag_name = "flags";
	reply->flags = reply->result < 0 ? 0 : message.msg_flags;
	control.bytes = control_room;
	control.length = message.msg_controllen;
	if (reply->result >= 0 && control.length)
		reply->control = &control;
}

/* Packets that are read and not yet sent back, of all sockets together, in order. */
struct held {
	struct held *next;
	struct address from;
	size_t length;
	unsigned char bytes[];
};

static struct held *first_held, **end_of_held = &first_held;

static void do_hold(const struct call *call, struct reply *reply)
{
	static unsigned char room[65536];
	long left = number_of(call->words[2], 1, 1000000), count = 0, got;
	struct address from;
	struct held *held;

	memset(&from, 0, sizeof(from));
	for (; count < left; count++) {
		from.length = sizeof(from.bytes);
		got = recvfrom(call->slot->fd, room, sizeof(room), MSG_DONTWAIT, (void *)from.bytes,
			       &from.length);
		if (got < 0)
			break;
		held = malloc(sizeof(*held) + (size_t)got);
		if (!held)
			script_error("no memory for", call->words[0]);
		held->next = NULL;
		held->from = from;
		held->length = (size_t)got;
		memcpy(held->bytes, room, held->length);
		*end_of_held = held;
		end_of_held = &held->next;
	}
	answer(reply, count);
}

/* Sends what is held through a socket: how many went, and as value how many were stale. */
static void do_release(const struct call *call, struct reply *reply)
{
	long left = call->count > 2 ? number_of(call->words[2], 1, 1000000) : LONG_MAX;
	long count = 0, stale = 0;
	struct held *held;
	int error = 0;

	for (; left > 0 && (held = first_held) != NULL; left--) {
		first_held = held->next;
		if (sendto(call->slot->fd, held->bytes, held->length, 0, (void *)held->from.bytes,
			   held->from.length) >= 0)
			count++;
		else if (errno == ESTALE)
			stale++;
		else
			error = errno;
		free(held);
	}
	if (!first_held)
		end_of_held = &first_held;
	errno = error;
	answer(reply, error ? -1 : count);
	reply->has_value = 1;
	reply->value = stale;
}

/* FNV-1a over the stream, so that both ends can be compared without keeping it. */
static uint32_t hashed(uint32_t hash, const unsigned char *bytes, long length)
{
	while (length-- > 0)
		hash = (hash ^ *bytes++) * 16777619u;
	return hash;
}

static void do_pump(const struct call *call, struct reply *reply)
{
	static unsigned char block[4096];
	long left = number_of(call->words[2], 0, 100000000), total = left, sent = 0;
	uint32_t hash = 2166136261u, next = 1;
	size_t i;

	for (; left > 0; left -= sent) {
		for (i = 0; i < sizeof(block); i++) {
			next = next * 1103515245u + 12345u;
			block[i] = (unsigned char)(next >> 16);
		}
		sent = left < (long)sizeof(block) ? left : (long)sizeof(block);
		hash = hashed(hash, block, sent);
		for (i = 0; i < (size_t)sent;) {
			long step = write(call->slot->fd, block + i, (size_t)sent - i);

			if (step < 0) {
				answer(reply, -1);
				return;
			}
			i += (size_t)step;
		}
	}
	answer(reply, total);
	reply->has_value = 1;
	reply->value = (long)(hash & 0x7fffffff);
}

static void do_drain(const struct call *call, struct reply *reply)
{
	static unsigned char block[4096];
	uint32_t hash = 2166136261u;
	long got, total = 0;

	while ((got = read(call->slot->fd, block, sizeof(block))) > 0) {
		hash = hashed(hash, block, got);
		total += got;
	}
	answer(reply, got < 0 ? got : total);
	reply->has_value = 1;
	reply->value = (long)(hash & 0x7fffffff);
}

const struct command data_commands[] = {
	{ "send", "SOCKET BYTES [FLAGS]", OLD_SLOT, 3, 4, do_send },
	{ "write", "SOCKET BYTES", OLD_SLOT, 3, 3, do_write },
	{ "sendto", "SOCKET BYTES ADDRESS [FLAGS]", OLD_SLOT, 4, 5, do_sendto },
	{ "sendmsg", "SOCKET BYTES ADDRESS [FLAGS [SIZE-OF-PART]...]", OLD_SLOT, 4, 12,
	  do_sendmsg },
	{ "recv", "SOCKET SIZE [FLAGS]", OLD_SLOT, 3, 4, do_recv },
	{ "read", "SOCKET SIZE", OLD_SLOT, 3, 3, do_read },
	{ "recvfrom", "SOCKET SIZE [FLAGS]", OLD_SLOT, 3, 4, do_recvfrom },
	{ "recvmsg", "SOCKET SIZE [FLAGS]", OLD_SLOT, 3, 4, do_recvmsg },
	{ "hold", "SOCKET COUNT (reads so many packets, or all that there are, and holds them)",
	  OLD_SLOT, 3, 3, do_hold },
	{ "release",
	  "SOCKET [COUNT] (sends back so many that are held, or all; value: how many are stale)",
	  OLD_SLOT, 2, 3, do_release },
	{ "pump", "SOCKET COUNT (writes COUNT bytes; value is their hash)", OLD_SLOT, 3, 3,
	  do_pump },
	{ "drain", "SOCKET (reads to the end; value is the hash)", OLD_SLOT, 2, 2, do_drain },
	{ NULL, NULL, NO_SLOT, 0, 0, NULL },
};
