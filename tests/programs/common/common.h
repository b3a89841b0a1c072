/* SPDX-License-Identifier: GPL-2.0-only */
/* What the test programs share: errno by name, hex, JSON strings, numbers. */
#ifndef COMMON_H
#define COMMON_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define IPPROTO_DIVERT 254
#define PACKET_MAX     65535

/* "EINVAL" for EINVAL; "E4711" for a number without a name. Static storage. */
const char *errno_name(int number);

/* The bytes as lower-case hex digits, without blanks. */
void hex_write(FILE *to, const void *bytes, size_t length);

/* Reads all of `text` as pairs of hex digits; returns how many bytes, -1 if it is not hex or too long. */
long hex_read(const char *text, void *bytes, size_t room);

/* `text` as a JSON string with its quotes; bytes beyond ASCII become \u00xx. */
void json_string(FILE *to, const char *text);

/* A decimal or 0x number within the bounds, nothing before or after it. Returns 0, or -1. */
int number_read(const char *text, unsigned long low, unsigned long high, unsigned long *number);

/* A dotted quad and nothing else (inet_aton takes "1" and "1.2" too). Returns 0, or -1. */
int address_read(const char *text, struct in_addr *address);

/* Gives up these capabilities (bits by their numbers) for good. Returns 0, or -1 with errno. */
int capabilities_drop(uint32_t drop);

/* A dotted quad, in one of a few static buffers, so that two fit into one printf. */
const char *address_text(struct in_addr address);

#endif
