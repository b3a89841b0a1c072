/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's tables of chains and rules, read, and shown as ipchains shows them. */
#include "rules.h"

#include "../common/common.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAMES "/proc/net/ip_fwnames"
#define RULES "/proc/net/ip_fwchains"

/* Room for one more and for the end, zeroed. */
static void *grown(void *rows, size_t count, size_t size)
{
	char *more = realloc(rows, (count + 2) * size);

	if (!more)
		rules_fail(RULES_REFUSED, "no memory");
	memset(more + count * size, 0, 2 * size);
	return more;
}

bool rules_are_there(void)
{
	return access(NAMES, F_OK) == 0;
}

/* For writing is how the kernel is told to begin to count anew. */
static FILE *opened(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file && !rules_are_there())
		rules_fail(RULES_REFUSED, "%s", RULES_ABSENT);
	if (!file)
		rules_fail(RULES_REFUSED, "%s: %s", path, strerror(errno));
	return file;
}

static unsigned long long glued(const unsigned int halves[2])
{
	return (unsigned long long)halves[0] << 32 | halves[1];
}

struct rules_chain *rules_chains(void)
{
	struct rules_chain *rows = grown(NULL, 0, sizeof(*rows));
	FILE *file = opened(NAMES, "r");
	unsigned int packets[2], bytes[2];
	size_t count = 0;

	while (fscanf(file, "%8s %8s %u %u %u %u %u", rows[count].name, rows[count].policy,
		      &rows[count].references, &packets[0], &packets[1], &bytes[0],
		      &bytes[1]) == 7) {
		rows[count].packets = glued(packets);
		rows[count].bytes = glued(bytes);
		rows = grown(rows, ++count, sizeof(*rows));
	}
	rows[count].name[0] = '\0';
	fclose(file);
	return rows;
}

/* One line of the kernel's. Returns 0, or -1 at the end. */
static int read_rule(FILE *file, struct rules_row *row)
{
	struct firewall_match *match = &row->rule.match;
	unsigned int at[4], numbers[3], packets[2], bytes[2], ports[4], masks[2], rest[3];
	char interface[17];

	if (fscanf(file, "%8s %x/%x->%x/%x %16s %x %x %u", row->chain, &at[0], &at[1], &at[2],
		   &at[3], interface, &numbers[0], &numbers[1], &numbers[2]) != 9 ||
	    fscanf(file, "%u %u %u %u %u-%u %u-%u", &packets[0], &packets[1], &bytes[0], &bytes[1],
		   &ports[0], &ports[1], &ports[2], &ports[3]) != 8 ||
	    fscanf(file, " A%x X%x %x %u %u %8s", &masks[0], &masks[1], &rest[0], &rest[1],
		   &rest[2], row->rule.target) != 6)
		return -1;
	match->source.s_addr = htonl(at[0]);
	match->source_mask.s_addr = htonl(at[1]);
	match->destination.s_addr = htonl(at[2]);
	match->destination_mask.s_addr = htonl(at[3]);
	if (strcmp(interface, "-") != 0)
		memcpy(match->interface, interface, sizeof(match->interface));
	match->flags = (uint16_t)numbers[0];
	match->inverted = (uint16_t)numbers[1];
	match->protocol = (uint16_t)numbers[2];
	row->packets = glued(packets);
	row->bytes = glued(bytes);
	match->source_ports[0] = (uint16_t)ports[0];
	match->source_ports[1] = (uint16_t)ports[1];
	match->destination_ports[0] = (uint16_t)ports[2];
	match->destination_ports[1] = (uint16_t)ports[3];
	match->tos_and = (uint8_t)masks[0];
	match->tos_xor = (uint8_t)masks[1];
	match->port = (uint16_t)rest[0];
	match->mark = rest[1];
	match->netlink_size = (uint16_t)rest[2];
	return 0;
}

struct rules_row *rules_rows(bool zero)
{
	struct rules_row *rows = grown(NULL, 0, sizeof(*rows));
	FILE *file = opened(RULES, zero ? "r+" : "r");
	size_t count = 0;

	while (read_rule(file, &rows[count]) == 0)
		rows = grown(rows, ++count, sizeof(*rows));
	memset(&rows[count], 0, sizeof(*rows));
	fclose(file);
	return rows;
}
