/* SPDX-License-Identifier: GPL-2.0-only */
/* Addresses, bytes and constants as words of a line, for the programs that tests drive. */
#ifndef VALUES_H
#define VALUES_H

#include "common.h"

#include <sys/socket.h>

#define ADDRESS_MAX 128
#define VALUE_MAX   131072 /* more than a packet can have */

/* What a call is given: a pointer to `bytes`, or NULL, and a length that need not be true. */
struct address {
	int is_null;
	socklen_t length;
	unsigned char bytes[ADDRESS_MAX];
};

struct bytes {
	int is_null;
	size_t length;
	unsigned char *bytes;
};

struct constant {
	const char *name;
	int number;
};

/*
 * none | null:LENGTH | last | hex:BYTES | in:A.B.C.D:PORT[:HEX of sin_zero] | pkt:INTERFACE[:PROTOCOL]
 * | ll:INDEX:PROTOCOL | nl:PID:GROUPS. `last` (which may be NULL) is the address received last.
 * Returns 0, or -1 if the word is none of these.
 */
int value_address(const char *word, struct address *address, const struct address *last);

/*
 * null:LENGTH | last | hex:BYTES | text:TEXT | zero:COUNT | fill:COUNT:HEX | int:NUMBER | byte:NUMBER |
 * ip:A.B.C.D | mreq:GROUP:ADDRESS | filter:LENGTH (a socket filter). Writes into `room` (VALUE_MAX bytes). Returns 0, or -1.
 */
int value_bytes(const char *word, struct bytes *bytes, unsigned char *room,
		const struct bytes *last);

/* A name of the table, a number, or some of them joined by `|`. Returns 0, or -1. */
int value_constant(const char *word, const struct constant *table, int *number);

/* The address as a JSON object: family, ip and port if it is AF_INET, and all bytes. */
void value_write_address(FILE *to, const struct address *address);

/* The set bits of `number` that the table names, as a JSON list, and the rest as one number. */
void value_write_flags(FILE *to, const struct constant *table, int number);

#endif
