/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests to netfilter by netlink, made by hand: the headers of the guest's programs are older than
 * it. Numbers as in linux/netlink.h and linux/netfilter/nfnetlink.h of a kernel of today.
 */
#ifndef BENCH_NETLINK_H
#define BENCH_NETLINK_H

#include <stddef.h>
#include <stdint.h>

#define SUBSYSTEM_QUEUE  3
#define SUBSYSTEM_TABLES 10

#define BATCH_BEGIN      0x10
#define BATCH_END        0x11

#define REQUEST          0x0001
#define ACK              0x0004
#define CREATE           0x0400
#define APPEND           0x0800

#define ERROR            2
#define ALIGN4(length)   (((length) + 3u) & ~3u)

#define FAMILY_ANY       0
#define FAMILY_IPV4      2

/* The head of every message: netlink's, then netfilter's. */
struct head {
	uint32_t length;
	uint16_t type;
	uint16_t flags;
	uint32_t sequence;
	uint32_t port;
	uint8_t family;
	uint8_t version;
	uint16_t resource; /* in network order: the queue's number, or the subsystem */
};

struct attribute {
	uint16_t length;
	uint16_t type;
};

/* Messages that are sent together. */
struct request {
	unsigned char bytes[1024];
	unsigned int used;
	unsigned int message; /* where the last one begins */
};

/* A socket for netfilter. Any error ends the program. */
int netlink_open(void);

/* Begins a message; `type` has the subsystem in its upper byte. */
void begin_message(struct request *request, unsigned int type, unsigned int flags,
		   unsigned int family, unsigned int resource);

/* Adds an attribute to the last message. */
void attribute(struct request *request, unsigned int type, const void *value, size_t length);
void attribute_text(struct request *request, unsigned int type, const char *text);
/* In network order, as all of netfilter's numbers. */
void attribute_u32(struct request *request, unsigned int type, uint32_t value);
void attribute_u16(struct request *request, unsigned int type, uint16_t value);

/* Attributes added between these are within one of the type. */
unsigned int nest(struct request *request, unsigned int type);
void unnest(struct request *request, unsigned int begin);

/* Sends the request, one message of which asks for an ACK, and waits for it. An error ends the program. */
void ask(int fd, const struct request *request, const char *what);

#endif
