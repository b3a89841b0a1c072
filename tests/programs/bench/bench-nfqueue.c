/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench-nfqueue: what bench-reinject does, by NFQUEUE, to compare divert sockets with: all UDP packets at a hook
 * come up whole, and each is accepted as it is.
 *
 *   bench-nfqueue [--batch N] input|forward|output QUEUE
 *
 * Plain, each packet takes one call to receive and one for its verdict. With --batch, up to N packets
 * are received by one recvmmsg and accepted by one NFQNL_MSG_VERDICT_BATCH, large segments stay as they are, and
 * buffer and queue are large: all that NFQUEUE has to be fast. What it says is what bench-reinject says.
 *
 * It makes the rule itself, as nftables' `meta l4proto udp queue num QUEUE`, in a table that the kernel
 * removes when the program's socket is closed. It wants a kernel of 5.12 or later.
 */
#define _GNU_SOURCE
#include "bench-netlink.h"
#include "bench.h"
#include "../common/common.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* linux/netfilter/nf_tables.h */
#define NEW_TABLE        (SUBSYSTEM_TABLES << 8 | 0)
#define NEW_CHAIN        (SUBSYSTEM_TABLES << 8 | 3)
#define NEW_RULE         (SUBSYSTEM_TABLES << 8 | 6)
#define TABLE_NAME       1
#define TABLE_FLAGS      2
#define TABLE_OWNER      2 /* it goes with its socket */
#define CHAIN_TABLE      1
#define CHAIN_NAME       3
#define CHAIN_HOOK       4
#define CHAIN_TYPE       7
#define HOOK_NUMBER      1
#define HOOK_PRIORITY    2
#define RULE_TABLE       1
#define RULE_CHAIN       2
#define RULE_EXPRESSIONS 4
#define ELEMENT          1
#define EXPRESSION_NAME  1
#define EXPRESSION_DATA  2
#define META_TO          1
#define META_KEY         2
#define META_L4PROTO     16
#define CMP_FROM         1
#define CMP_OPERATOR     2
#define CMP_DATA         3
#define CMP_EQUAL        0
#define DATA_VALUE       1
#define QUEUE_NUMBER     1
#define QUEUE_TOTAL      2
#define REGISTER         1
/* Before connection tracking, where divert takes packets too: linux/netfilter_ipv4.h. */
#define PRIORITY (-400)

/* linux/netfilter/nfnetlink_queue.h */
#define PACKET            (SUBSYSTEM_QUEUE << 8 | 0)
#define VERDICT           (SUBSYSTEM_QUEUE << 8 | 1)
#define CONFIG            (SUBSYSTEM_QUEUE << 8 | 2)
#define VERDICT_BATCH     (SUBSYSTEM_QUEUE << 8 | 3)
#define CONFIG_COMMAND    1
#define CONFIG_PARAMETERS 2
#define CONFIG_LENGTH     3
#define CONFIG_MASK       4
#define CONFIG_FLAGS      5
#define COMMAND_BIND      1
#define COPY_PACKET       2
#define FLAG_FAIL_OPEN    1
#define FLAG_GSO          4
#define PACKET_HEADER     1
#define VERDICT_HEADER    2
#define PAYLOAD           10
#define ACCEPT            1

#define QUEUE_LENGTH      4096
#define BUFFER            (8 << 20)
#define RCVBUFFORCE       33
#define ROOM              (PACKET_MAX + 4096)

struct config_command {
	uint8_t command;
	uint8_t pad;
	uint16_t family;
};

struct config_parameters {
	uint32_t range;
	uint8_t mode;
} __attribute__((packed));

struct verdict_header {
	uint32_t verdict;
	uint32_t id; /* in network order; of a batch the last one's */
};

struct verdict {
	struct head head;
	struct attribute attribute;
	struct verdict_header header;
};

static const struct {
	const char *name;
	unsigned int number;
} hooks[] = { { "input", 0 }, { "forward", 2 }, { "output", 4 } };

static union {
	struct head head;
	unsigned char bytes[ROOM];
} received[BATCH_MAX];
static int fd;

static unsigned int expression(struct request *request, const char *name, unsigned int *outer)
{
	*outer = nest(request, ELEMENT);
	attribute_text(request, EXPRESSION_NAME, name);
	return nest(request, EXPRESSION_DATA);
}

static void make_rule(unsigned int hook, unsigned int queue)
{
	static const uint8_t udp = IPPROTO_UDP;
	static const char name[] = "bench";
	static struct request request;
	unsigned int list, outer, inner, data;

	begin_message(&request, BATCH_BEGIN, 0, FAMILY_ANY, SUBSYSTEM_TABLES);
	begin_message(&request, NEW_TABLE, CREATE, FAMILY_IPV4, 0);
	attribute_text(&request, TABLE_NAME, name);
	attribute_u32(&request, TABLE_FLAGS, TABLE_OWNER);
	begin_message(&request, NEW_CHAIN, CREATE, FAMILY_IPV4, 0);
	attribute_text(&request, CHAIN_TABLE, name);
	attribute_text(&request, CHAIN_NAME, name);
	outer = nest(&request, CHAIN_HOOK);
	attribute_u32(&request, HOOK_NUMBER, hook);
	attribute_u32(&request, HOOK_PRIORITY, (uint32_t)PRIORITY);
	unnest(&request, outer);
	attribute_text(&request, CHAIN_TYPE, "filter");
	begin_message(&request, NEW_RULE, CREATE | APPEND | ACK, FAMILY_IPV4, 0);
	attribute_text(&request, RULE_TABLE, name);
	attribute_text(&request, RULE_CHAIN, name);
	list = nest(&request, RULE_EXPRESSIONS);
	inner = expression(&request, "meta", &outer);
	attribute_u32(&request, META_TO, REGISTER);
	attribute_u32(&request, META_KEY, META_L4PROTO);
	unnest(&request, inner);
	unnest(&request, outer);
	inner = expression(&request, "cmp", &outer);
	attribute_u32(&request, CMP_FROM, REGISTER);
	attribute_u32(&request, CMP_OPERATOR, CMP_EQUAL);
	data = nest(&request, CMP_DATA);
	attribute(&request, DATA_VALUE, &udp, sizeof(udp));
	unnest(&request, data);
	unnest(&request, inner);
	unnest(&request, outer);
	inner = expression(&request, "queue", &outer);
	attribute_u16(&request, QUEUE_NUMBER, (uint16_t)queue);
	attribute_u16(&request, QUEUE_TOTAL, 1);
	unnest(&request, inner);
	unnest(&request, outer);
	unnest(&request, list);
	begin_message(&request, BATCH_END, 0, FAMILY_ANY, SUBSYSTEM_TABLES);
	/* The socket stays open, and the table with it. */
	ask(netlink_open(), &request, "rule");
}

static void bind_queue(unsigned int queue, int best)
{
	const struct config_command command = { COMMAND_BIND, 0, 0 };
	const struct config_parameters parameters = { htonl(0xffff), COPY_PACKET };
	static struct request request;
	int buffer = BUFFER;

	fd = netlink_open();
	begin_message(&request, CONFIG, ACK, FAMILY_ANY, queue);
	attribute(&request, CONFIG_COMMAND, &command, sizeof(command));
	attribute(&request, CONFIG_PARAMETERS, &parameters, sizeof(parameters));
	if (best) {
		attribute_u32(&request, CONFIG_LENGTH, QUEUE_LENGTH);
		attribute_u32(&request, CONFIG_FLAGS, FLAG_FAIL_OPEN | FLAG_GSO);
		attribute_u32(&request, CONFIG_MASK, FLAG_FAIL_OPEN | FLAG_GSO);
		if (setsockopt(fd, SOL_SOCKET, RCVBUFFORCE, &buffer, sizeof(buffer)) < 0)
			failed("setsockopt");
	}
	ask(fd, &request, "queue");
}

/* The number of the packet in a message, in network order. One without its packet ends the program. */
static uint32_t number(const struct head *head, long got)
{
	const unsigned char *at = (const unsigned char *)(head + 1);
	const unsigned char *end = (const unsigned char *)head + head->length;
	uint32_t id = 0;
	int whole = 0;

	errno = EPROTO;
	if (got < (long)sizeof(*head) || head->length != (unsigned long)got || head->type != PACKET)
		failed("message");
	while (end - at >= (long)sizeof(struct attribute)) {
		const struct attribute *attribute = (const struct attribute *)at;

		if (attribute->length < sizeof(*attribute) || attribute->length > end - at)
			failed("attribute");
		if (attribute->type == PACKET_HEADER)
			memcpy(&id, attribute + 1, sizeof(id));
		if (attribute->type == PAYLOAD)
			whole = 1;
		at += ALIGN4(attribute->length);
	}
	if (!id || !whole)
		failed("packet");
	return id;
}

static void accept_packets(struct verdict *verdict, uint32_t id)
{
	verdict->header.id = id;
	if (send(fd, verdict, sizeof(*verdict), 0) != sizeof(*verdict))
		failed("send");
}

static void one_a_call(struct verdict *verdict)
{
	for (;;) {
		long got = recv(fd, received[0].bytes, ROOM, 0);

		if (got < 0)
			failed("recv");
		call_count++;
		packet_count++;
		accept_packets(verdict, number(&received[0].head, got));
	}
}

static void many_a_call(struct verdict *verdict, unsigned int most)
{
	static struct message messages[BATCH_MAX];
	static struct iovec parts[BATCH_MAX];
	unsigned int i;

	for (i = 0; i < most; i++) {
		parts[i].iov_base = received[i].bytes;
		parts[i].iov_len = ROOM;
		messages[i].header.msg_iov = &parts[i];
		messages[i].header.msg_iovlen = 1;
	}
	for (;;) {
		long got = syscall(RECVMMSG, fd, messages, most, WAIT_FOR_ONE, NULL);
		uint32_t id = 0;

		if (got < 0)
			failed("recvmmsg");
		call_count++;
		packet_count += (unsigned long)got;
		for (i = 0; (long)i < got; i++)
			id = number(&received[i].head, messages[i].length);
		accept_packets(verdict, id);
	}
}

int main(int argc, char **argv)
{
	static struct request request;
	struct verdict_header header = { htonl(ACCEPT), 0 };
	unsigned long queue, batch = 0;
	unsigned int hook;
	int at = 1;

	if (argc == 5 && strcmp(argv[1], "--batch") == 0 &&
	    number_read(argv[2], 1, BATCH_MAX, &batch) == 0)
		at = 3;
	for (hook = 0; argc - at == 2 && hook < 3 && strcmp(argv[at], hooks[hook].name); hook++)
		;
	if (argc - at != 2 || hook == 3 || number_read(argv[at + 1], 0, 65535, &queue) < 0) {
		fprintf(stderr, "usage: bench-nfqueue [--batch N] input|forward|output QUEUE\n");
		return 1;
	}
	bind_queue((unsigned int)queue, batch > 0);
	make_rule(hooks[hook].number, (unsigned int)queue);
	begin_message(&request, batch ? VERDICT_BATCH : VERDICT, 0, FAMILY_ANY,
		      (unsigned int)queue);
	attribute(&request, VERDICT_HEADER, &header, sizeof(header));
	ready();
	if (batch)
		many_a_call((struct verdict *)request.bytes, (unsigned int)batch);
	else
		one_a_call((struct verdict *)request.bytes);
	return 0;
}
