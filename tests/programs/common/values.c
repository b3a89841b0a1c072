/* SPDX-License-Identifier: GPL-2.0-only */
#include "values.h"

#include <linux/filter.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 4

/* The parts of `word` between colons after its prefix, in a copy; returns how many, -1 if too many. */
static int split(const char *word, char *copy, size_t room, char **fields)
{
	int count = 0;

	if (strlen(word) >= room)
		return -1;
	strcpy(copy, word);
	while (copy) {
		if (count == FIELDS_MAX)
			return -1;
		fields[count++] = copy;
		copy = strchr(copy, ':');
		if (copy)
			*copy++ = '\0';
	}
	return count;
}

/* If `word` is `prefix:rest`, the rest. */
static const char *after(const char *word, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(word, prefix, length) == 0 && word[length] == ':' ? word + length + 1 : NULL;
}

static void put16(unsigned char *at, unsigned long number)
{
	uint16_t value = (uint16_t)number;

	memcpy(at, &value, sizeof(value));
}

static void put32(unsigned char *at, unsigned long number)
{
	uint32_t value = (uint32_t)number;

	memcpy(at, &value, sizeof(value));
}

static int inet_address(char **fields, int count, struct address *address)
{
	struct sockaddr_in in;
	unsigned long port;

	memset(&in, 0, sizeof(in));
	in.sin_family = AF_INET;
	if (count < 3 || address_read(fields[1], &in.sin_addr) < 0 ||
	    number_read(fields[2], 0, 65535, &port) < 0)
		return -1;
	in.sin_port = htons((uint16_t)port);
	if (count == 4 && hex_read(fields[3], in.sin_zero, sizeof(in.sin_zero)) < 0)
		return -1;
	memcpy(address->bytes, &in, sizeof(in));
	address->length = sizeof(in);
	return 0;
}

/*
 * SOCK_PACKET: a family, 14 bytes of name, and to send a protocol in network order (sockaddr_pkt);
 * to bind, 2.2 wants the length of a sockaddr, which is without the protocol.
 */
static int old_packet_address(char **fields, int count, struct address *address)
{
	unsigned long protocol = 0;

	if (count < 2 || count > 3 || strlen(fields[1]) > 13 ||
	    (count == 3 && number_read(fields[2], 0, 65535, &protocol) < 0))
		return -1;
	put16(address->bytes, AF_INET);
	strcpy((char *)address->bytes + 2, fields[1]);
	put16(address->bytes + 16, htons((uint16_t)protocol));
	address->length = count == 3 ? 18 : 16;
	return 0;
}

/* struct sockaddr_ll: a family, a protocol in network order, an interface's index, 12 bytes more. */
static int packet_address(char **fields, int count, struct address *address)
{
	unsigned long index, protocol;

	if (count != 3 || number_read(fields[1], 0, 0x7fffffff, &index) < 0 ||
	    number_read(fields[2], 0, 65535, &protocol) < 0)
		return -1;
	put16(address->bytes, 17); /* AF_PACKET */
	put16(address->bytes + 2, htons((uint16_t)protocol));
	put32(address->bytes + 4, index);
	address->length = 20;
	return 0;
}

/* struct sockaddr_nl: a family, two bytes of padding, a process, a mask of groups. */
static int netlink_address(char **fields, int count, struct address *address)
{
	unsigned long process, groups;

	if (count != 3 || number_read(fields[1], 0, 0xffffffff, &process) < 0 ||
	    number_read(fields[2], 0, 0xffffffff, &groups) < 0)
		return -1;
	put16(address->bytes, 16); /* AF_NETLINK */
	put32(address->bytes + 4, process);
	put32(address->bytes + 8, groups);
	address->length = 12;
	return 0;
}

int value_address(const char *word, struct address *address, const struct address *last)
{
	char copy[128], *fields[FIELDS_MAX];
	const char *rest;
	unsigned long number;
	long length;
	int count;

	memset(address, 0, sizeof(*address));
	if (strcmp(word, "none") == 0) {
		address->is_null = 1;
		return 0;
	}
	if (strcmp(word, "last") == 0) {
		if (!last)
			return -1;
		*address = *last;
		return 0;
	}
	rest = after(word, "hex");
	if (rest) {
		length = hex_read(rest, address->bytes, sizeof(address->bytes));
		address->length = length < 0 ? 0 : (socklen_t)length;
		return length < 0 ? -1 : 0;
	}
	count = split(word, copy, sizeof(copy), fields);
	if (count < 2)
		return -1;
	if (strcmp(fields[0], "null") == 0) {
		if (count != 2 || number_read(fields[1], 0, 0xffffffff, &number) < 0)
			return -1;
		address->is_null = 1;
		address->length = (socklen_t)number;
		return 0;
	}
	if (strcmp(fields[0], "in") == 0)
		return inet_address(fields, count, address);
	if (strcmp(fields[0], "pkt") == 0)
		return old_packet_address(fields, count, address);
	if (strcmp(fields[0], "ll") == 0)
		return packet_address(fields, count, address);
	if (strcmp(fields[0], "nl") == 0)
		return netlink_address(fields, count, address);
	return -1;
}

static int filled(char **fields, int count, struct bytes *bytes)
{
	unsigned char pattern[32];
	unsigned long total;
	long length;
	size_t i;

	if (count != 3 || number_read(fields[1], 0, VALUE_MAX, &total) < 0)
		return -1;
	length = hex_read(fields[2], pattern, sizeof(pattern));
	if (length < 1)
		return -1;
	for (i = 0; i < total; i++)
		bytes->bytes[i] = pattern[i % (size_t)length];
	bytes->length = total;
	return 0;
}

/* A socket filter that lets `length` bytes of each packet through; with 0 it refuses all. */
static void filter(unsigned long length, struct bytes *bytes)
{
	struct sock_filter only = { BPF_RET | BPF_K, 0, 0, (__u32)length };
	struct sock_fprog program;

	memset(&program, 0, sizeof(program));
	program.len = 1;
	program.filter = (struct sock_filter *)(bytes->bytes + sizeof(program));
	memcpy(program.filter, &only, sizeof(only));
	memcpy(bytes->bytes, &program, sizeof(program));
	bytes->length = sizeof(program);
}

static int short_value(char **fields, int count, struct bytes *bytes)
{
	struct in_addr address[2];
	char *end;
	int number;

	if (strcmp(fields[0], "mreq") == 0) {
		if (count != 3 || address_read(fields[1], &address[0]) < 0 ||
		    address_read(fields[2], &address[1]) < 0)
			return -1;
		memcpy(bytes->bytes, address, sizeof(address));
		bytes->length = sizeof(address);
		return 0;
	}
	if (count != 2)
		return -1;
	if (strcmp(fields[0], "ip") == 0) {
		bytes->length = sizeof(address[0]);
		if (address_read(fields[1], &address[0]) < 0)
			return -1;
		memcpy(bytes->bytes, address, sizeof(address[0]));
		return 0;
	}
	number = (int)strtol(fields[1], &end, 0);
	if (end == fields[1] || *end)
		return -1;
	if (strcmp(fields[0], "int") == 0) {
		memcpy(bytes->bytes, &number, sizeof(number));
		bytes->length = sizeof(number);
		return 0;
	}
	if (strcmp(fields[0], "filter") == 0) {
		filter((unsigned long)number, bytes);
		return 0;
	}
	if (strcmp(fields[0], "byte") == 0) {
		bytes->bytes[0] = (unsigned char)number;
		bytes->length = 1;
		return 0;
	}
	return -1;
}

int value_bytes(const char *word, struct bytes *bytes, unsigned char *room,
		const struct bytes *last)
{
	char copy[128], *fields[FIELDS_MAX];
	const char *rest;
	unsigned long number;
	long length;
	int count;

	bytes->is_null = 0;
	bytes->bytes = room;
	if (strcmp(word, "last") == 0) {
		if (!last)
			return -1;
		*bytes = *last;
		return 0;
	}
	rest = after(word, "hex");
	if (rest) {
		length = hex_read(rest, room, VALUE_MAX);
		bytes->length = length < 0 ? 0 : (size_t)length;
		return length < 0 ? -1 : 0;
	}
	rest = after(word, "text");
	if (rest) {
		bytes->length = strlen(rest);
		if (bytes->length > VALUE_MAX)
			return -1;
		memcpy(room, rest, bytes->length);
		return 0;
	}
	count = split(word, copy, sizeof(copy), fields);
	if (count < 2)
		return -1;
	if (strcmp(fields[0], "zero") == 0 || strcmp(fields[0], "null") == 0) {
		if (count != 2 || number_read(fields[1], 0, VALUE_MAX, &number) < 0)
			return -1;
		memset(room, 0, number);
		bytes->length = number;
		bytes->is_null = fields[0][0] == 'n';
		return 0;
	}
	if (strcmp(fields[0], "fill") == 0)
		return filled(fields, count, bytes);
	return short_value(fields, count, bytes);
}

int value_constant(const char *word, const struct constant *table, int *number)
{
	const struct constant *entry;
	size_t length;
	char *end;

	for (*number = 0;; word += length + 1) {
		length = strcspn(word, "|");
		for (entry = table; entry->name; entry++)
			if (strlen(entry->name) == length && memcmp(entry->name, word, length) == 0)
				break;
		if (entry->name) {
			*number |= entry->number;
		} else {
			*number |= (int)strtol(word, &end, 0);
			if (!length || end != word + length)
				return -1;
		}
		if (!word[length])
			return 0;
	}
}

void value_write_address(FILE *to, const struct address *address)
{
	struct sockaddr_in in;
	uint16_t family = 0;

	if (address->length >= sizeof(family))
		memcpy(&family, address->bytes, sizeof(family));
	fprintf(to, "{\"family\":%d,", family);
	if (family == AF_INET && address->length >= sizeof(in)) {
		memcpy(&in, address->bytes, sizeof(in));
		fprintf(to, "\"ip\":\"%s\",\"port\":%d,", address_text(in.sin_addr),
			ntohs(in.sin_port));
	}
	fprintf(to, "\"hex\":\"");
	hex_write(to, address->bytes,
		  address->length < ADDRESS_MAX ? address->length : ADDRESS_MAX);
	fprintf(to, "\"}");
}

void value_write_flags(FILE *to, const struct constant *table, int number)
{
	const char *comma = "";

	putc('[', to);
	for (; table->name; table++) {
		if (table->number && (number & table->number) == table->number) {
			fprintf(to, "%s\"%s\"", comma, table->name);
			number &= ~table->number;
			comma = ",";
		}
	}
	if (number)
		fprintf(to, "%s%d", comma, number);
	putc(']', to);
}
