/* SPDX-License-Identifier: GPL-2.0-only */
#include "bench-netlink.h"
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define AF_NETLINK_ 16
#define NETFILTER   12
#define NESTED      0x8000

struct netlink_address {
	uint16_t family;
	uint16_t pad;
	uint32_t port;
	uint32_t groups;
};

int netlink_open(void)
{
	struct netlink_address address;
	int fd = socket(AF_NETLINK_, SOCK_RAW, NETFILTER);

	if (fd < 0)
		failed("socket");
	memset(&address, 0, sizeof(address));
	address.family = AF_NETLINK_;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		failed("bind");
	return fd;
}

static void *take(struct request *request, size_t length)
{
	struct head *head = (struct head *)(request->bytes + request->message);
	void *at = request->bytes + request->used;

	if (request->used + ALIGN4(length) > sizeof(request->bytes)) {
		errno = ENOBUFS;
		failed("request");
	}
	memset(at, 0, ALIGN4(length));
	request->used += ALIGN4(length);
	head->length = request->used - request->message;
	return at;
}

void begin_message(struct request *request, unsigned int type, unsigned int flags,
		   unsigned int family, unsigned int resource)
{
	struct head *head;

	request->message = request->used;
	head = take(request, sizeof(*head));
	head->type = (uint16_t)type;
	head->flags = (uint16_t)(REQUEST | flags);
	head->family = (uint8_t)family;
	head->resource = htons((uint16_t)resource);
}

void attribute(struct request *request, unsigned int type, const void *value, size_t length)
{
	struct attribute *head = take(request, sizeof(*head) + length);

	head->length = (uint16_t)(sizeof(*head) + length);
	head->type = (uint16_t)type;
	memcpy(head + 1, value, length);
}

void attribute_text(struct request *request, unsigned int type, const char *text)
{
	attribute(request, type, text, strlen(text) + 1);
}

void attribute_u32(struct request *request, unsigned int type, uint32_t value)
{
	value = htonl(value);
	attribute(request, type, &value, sizeof(value));
}

void attribute_u16(struct request *request, unsigned int type, uint16_t value)
{
	value = htons(value);
	attribute(request, type, &value, sizeof(value));
}

unsigned int nest(struct request *request, unsigned int type)
{
	unsigned int begin = request->used;

	attribute(request, type | NESTED, "", 0);
	return begin;
}

void unnest(struct request *request, unsigned int begin)
{
	struct attribute *head = (struct attribute *)(request->bytes + begin);

	head->length = (uint16_t)(request->used - begin);
}

void ask(int fd, const struct request *request, const char *what)
{
	static union {
		struct head head;
		unsigned char bytes[2048];
	} answer;
	int32_t error;
	long got;

	if (send(fd, request->bytes, request->used, 0) != (long)request->used)
		failed(what);
	do
		got = recv(fd, &answer, sizeof(answer), 0);
	while (got >= 0 && answer.head.type != ERROR);
	if (got < 0)
		failed(what);
	/* Instead of netfilter's head an answer has the error, 0 for an ACK. */
	memcpy(&error, &answer.head.family, sizeof(error));
	errno = -error;
	if (error)
		failed(what);
}
