/* SPDX-License-Identifier: GPL-2.0-only */
/* Several packets by one call. Where the kernel, or a header of 1999, knows of none, by its number. */
#include "calls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifdef __x86_64__
#define RECVMMSG 299
#else
#define RECVMMSG 337
#endif

#define MANY_MAX  16
#define PART_MAX  2048
#define DONT_WAIT 0x40

/* Of all that are there, COUNT at the most; the bytes are those of all of them, one behind the other. */
static void do_recvmmsg(const struct call *call, struct reply *reply)
{
	static struct {
		struct msghdr head;
		unsigned int length;
	} messages[MANY_MAX];
	static unsigned char parts[MANY_MAX][PART_MAX], all[MANY_MAX * PART_MAX];
	static struct address from[MANY_MAX];
	static struct iovec places[MANY_MAX];
	static struct bytes data;
	long count = number_of(call->words[2], 1, MANY_MAX), got, i;

	memset(messages, 0, sizeof(messages));
	for (i = 0; i < count; i++) {
		places[i].iov_base = parts[i];
		places[i].iov_len = PART_MAX;
		messages[i].head.msg_name = from[i].bytes;
		messages[i].head.msg_namelen = sizeof(from[i].bytes);
		messages[i].head.msg_iov = &places[i];
		messages[i].head.msg_iovlen = 1;
	}
	got = syscall(RECVMMSG, call->slot->fd, messages, count, DONT_WAIT, NULL);
	answer(reply, got);
	if (got <= 0)
		return;
	data.bytes = all;
	data.length = 0;
	for (i = 0; i < got; i++) {
		memcpy(all + data.length, parts[i], messages[i].length);
		data.length += messages[i].length;
	}
	reply->data = &data;
	call->slot->from = from[got - 1];
	call->slot->from.length = messages[got - 1].head.msg_namelen;
	reply->address = &call->slot->from;
	reply->address_name = "from";
}

const struct command many_commands[] = {
	{ "recvmmsg", "SOCKET COUNT (waits for none; the bytes of all, the address of the last)",
	  OLD_SLOT, 3, 3, do_recvmmsg },
	{ NULL, NULL, NO_SLOT, 0, 0, NULL },
};
