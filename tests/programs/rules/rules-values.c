/* SPDX-License-Identifier: GPL-2.0-only */
/* Single values of the rule tool's command line. */
#include "rules.h"

#include "../common/common.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define EVERY_PORT 0xffff

unsigned long rules_number(const char *text, unsigned long low, unsigned long high,
			   const char *what)
{
	unsigned long value;

	if (number_read(text, low, high, &value))
		rules_fail(RULES_MISUSED, "`%s' is no %s (%lu to %lu)", text, what, low, high);
	return value;
}

uint16_t rules_protocol(const char *text)
{
	static const struct {
		const char *name;
		uint16_t number;
	} known[] = {
		{ "all", 0 },           { "icmp", IPPROTO_ICMP }, { "tcp", IPPROTO_TCP },
		{ "udp", IPPROTO_UDP }, { "igmp", IPPROTO_IGMP },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(text, known[i].name) == 0)
			return known[i].number;
	return (uint16_t)rules_number(text, 0, 65535, "protocol");
}

/* "10.0.0.0/8", "10.0.0.0/255.0.0.0", "0/0": any address will do before a mask of 0. */
void rules_address(const char *text, struct in_addr *at, struct in_addr *mask)
{
	char copy[64];
	char *slash;

	snprintf(copy, sizeof(copy), "%s", text);
	slash = strchr(copy, '/');
	mask->s_addr = htonl(0xffffffff);
	if (slash) {
		*slash++ = '\0';
		if (address_read(slash, mask)) {
			unsigned long bits = rules_number(slash, 0, 32, "mask");

			mask->s_addr = bits ? htonl(0xffffffffu << (32 - bits)) : 0;
		}
	}
	at->s_addr = 0;
	if (mask->s_addr && address_read(copy, at))
		rules_fail(RULES_MISUSED, "`%s' is no address", text);
	at->s_addr &= mask->s_addr;
}

/* "80", "1000:2000", "1024:", ":1023". */
void rules_ports(const char *text, uint16_t range[2])
{
	const char *colon = strchr(text, ':');
	char first[8];

	if (!colon) {
		range[0] = range[1] = (uint16_t)rules_number(text, 0, 65535, "port");
		return;
	}
	snprintf(first, sizeof(first), "%.*s", (int)(colon - text), text);
	range[0] = first[0] ? (uint16_t)rules_number(first, 0, 65535, "port") : 0;
	range[1] = colon[1] ? (uint16_t)rules_number(colon + 1, 0, 65535, "port") : EVERY_PORT;
	if (range[0] > range[1])
		rules_fail(RULES_MISUSED, "the ports `%s' end before they begin", text);
}

/* Hexadecimal, with or without 0x. */
uint8_t rules_tos(const char *text)
{
	unsigned int value;
	char rest;

	if (sscanf(text, "%x%c", &value, &rest) != 1 || value > 0xff)
		rules_fail(RULES_MISUSED, "`%s' is no TOS mask", text);
	return (uint8_t)value;
}

/* All digits: no sign, no 0x, no name. */
uint16_t rules_divert_port(const char *text)
{
	const char *digits = text;

	while (digits[0] == '0' && digits[1])
		digits++;
	if (!digits[0] || strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 5)
		rules_fail(RULES_MISUSED, "invalid divert port `%s' (must be 1-65535)", text);
	return (uint16_t)rules_number(digits, 1, 65535, "divert port");
}
