/* SPDX-License-Identifier: GPL-2.0-only */
/* The names of ICMP types and codes, those of ipchains. */
#include "rules.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#define EVERY_CODE 0xffff

static const struct name {
	const char *name;
	uint16_t type, first, last; /* codes */
} names[] = {
	{ "echo-reply", 0, 0, EVERY_CODE },
	{ "pong", 0, 0, EVERY_CODE },
	{ "destination-unreachable", 3, 0, EVERY_CODE },
	{ "network-unreachable", 3, 0, 0 },
	{ "host-unreachable", 3, 1, 1 },
	{ "protocol-unreachable", 3, 2, 2 },
	{ "port-unreachable", 3, 3, 3 },
	{ "fragmentation-needed", 3, 4, 4 },
	{ "source-route-failed", 3, 5, 5 },
	{ "network-unknown", 3, 6, 6 },
	{ "host-unknown", 3, 7, 7 },
	{ "network-prohibited", 3, 9, 9 },
	{ "host-prohibited", 3, 10, 10 },
	{ "TOS-network-unreachable", 3, 11, 11 },
	{ "TOS-host-unreachable", 3, 12, 12 },
	{ "communication-prohibited", 3, 13, 13 },
	{ "host-precedence-violation", 3, 14, 14 },
	{ "precedence-cutoff", 3, 15, 15 },
	{ "source-quench", 4, 0, EVERY_CODE },
	{ "redirect", 5, 0, EVERY_CODE },
	{ "network-redirect", 5, 0, 0 },
	{ "host-redirect", 5, 1, 1 },
	{ "TOS-network-redirect", 5, 2, 2 },
	{ "TOS-host-redirect", 5, 3, 3 },
	{ "echo-request", 8, 0, EVERY_CODE },
	{ "ping", 8, 0, EVERY_CODE },
	{ "router-advertisement", 9, 0, EVERY_CODE },
	{ "router-solicitation", 10, 0, EVERY_CODE },
	{ "time-exceeded", 11, 0, EVERY_CODE },
	{ "ttl-exceeded", 11, 0, EVERY_CODE },
	{ "ttl-zero-during-transit", 11, 0, 0 },
	{ "ttl-zero-during-reassembly", 11, 1, 1 },
	{ "parameter-problem", 12, 0, EVERY_CODE },
	{ "ip-header-bad", 12, 0, 0 },
	{ "required-option-missing", 12, 1, 1 },
	{ "timestamp-request", 13, 0, EVERY_CODE },
	{ "timestamp-reply", 14, 0, EVERY_CODE },
	{ "address-mask-request", 17, 0, EVERY_CODE },
	{ "address-mask-reply", 18, 0, EVERY_CODE },
};

#define COUNT (sizeof(names) / sizeof(names[0]))

static const struct name *find(const char *text)
{
	const struct name *found = NULL;
	size_t i;

	for (i = 0; i < COUNT; i++) {
		if (strcasecmp(names[i].name, text) == 0)
			return &names[i];
		if (strncasecmp(names[i].name, text, strlen(text)) != 0)
			continue;
		if (found)
			return NULL;
		found = &names[i];
	}
	return found;
}

int rules_icmp_type(const char *name, struct firewall_match *match)
{
	const struct name *found = find(name);

	if (!found)
		return -1;
	match->source_ports[0] = match->source_ports[1] = found->type;
	match->destination_ports[0] = found->first;
	match->destination_ports[1] = found->last;
	return 0;
}

const char *rules_icmp_name(const struct firewall_match *match)
{
	size_t i;

	for (i = 0; i < COUNT; i++)
		if (match->source_ports[0] == names[i].type &&
		    match->source_ports[1] == names[i].type &&
		    match->destination_ports[0] == names[i].first &&
		    match->destination_ports[1] == names[i].last)
			return names[i].name;
	return NULL;
}
