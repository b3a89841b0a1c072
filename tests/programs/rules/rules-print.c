/* SPDX-License-Identifier: GPL-2.0-only */
/* Chains and rules as ipchains prints them: -L, and -S as commands that make them again. */
#include "rules.h"

#include "../common/common.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define EVERY_PORT 0xffff

static bool is(const struct firewall_match *match, uint16_t inverted)
{
	return match->inverted & inverted;
}

static bool every(const uint16_t range[2])
{
	return range[0] == 0 && range[1] == EVERY_PORT;
}

static int bits_of(struct in_addr mask)
{
	uint32_t host = ntohl(mask.s_addr);
	int bits = 0;

	while (bits < 32 && host & 0x80000000u >> bits)
		bits++;
	return host << (bits & 31) && bits < 32 ? -1 : bits;
}

/* "192.0.2.1", "10.0.0.0/8" or "10.0.0.0/255.0.0.255". */
static void address_write(char text[40], struct in_addr at, struct in_addr mask)
{
	int bits = bits_of(mask);

	if (bits < 0)
		snprintf(text, 40, "%s/%s", address_text(at), address_text(mask));
	else if (bits < 32)
		snprintf(text, 40, "%s/%d", address_text(at), bits);
	else
		snprintf(text, 40, "%s", address_text(at));
}

static void ports_print(const uint16_t range[2], bool inverted)
{
	printf(inverted ? " !" : "  ");
	if (every(range))
		putchar('*');
	else if (range[0] == range[1])
		printf("%u", range[0]);
	else
		printf("%u:%u", range[0], range[1]);
}

static bool has_ports(const struct firewall_match *match)
{
	return match->protocol == IPPROTO_TCP || match->protocol == IPPROTO_UDP ||
	       match->protocol == IPPROTO_ICMP;
}

static const char *protocol_name(uint16_t protocol)
{
	static char text[8];

	switch (protocol) {
	case 0:
		return "all";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	}
	snprintf(text, sizeof(text), "%u", protocol);
	return text;
}

static void count_print(unsigned long long count, bool exact, int width)
{
	static const char units[] = "KMG";
	int unit = -1;

	if (!exact)
		while (count > 99999 && unit < 2) {
			count = (count + 500) / 1000;
			unit++;
		}
	if (unit < 0)
		printf("%*llu ", width, count);
	else
		printf("%*llu%c ", width - 1, count, units[unit]);
}

static void options_print(const struct firewall_match *match)
{
	printf("%c%c%c%c%c%c ", is(match, FIREWALL_NOT_SYN) ? '!' : '-',
	       match->flags & FIREWALL_SYN ? 'y' : '-',
	       is(match, FIREWALL_NOT_FRAGMENT) ? '!' : '-',
	       match->flags & FIREWALL_FRAGMENT ? 'f' : '-',
	       match->flags & FIREWALL_LOG ? 'l' : '-',
	       match->flags & FIREWALL_NETLINK ? 'o' : '-');
}

static void effects_print(const struct firewall_match *match)
{
	char name[20];

	snprintf(name, sizeof(name), "%.16s%s", match->interface[0] ? match->interface : "*",
		 match->interface[0] && match->flags & FIREWALL_WILD ? "+" : "");
	printf("0x%02X 0x%02X %c%-10s ", match->tos_and, match->tos_xor,
	       is(match, FIREWALL_NOT_INTERFACE) ? '!' : ' ', name);
	if (match->flags & FIREWALL_MARK_SET || match->mark)
		printf("0x%-10x ", match->mark);
	else
		printf("%-10s ", "");
	if (match->flags & FIREWALL_NETLINK && match->netlink_size != 0xffff)
		printf("%-7u ", match->netlink_size);
	else
		printf("%-7s ", "");
}

static void row_print(const struct rules_row *row, const struct rules_command *command)
{
	const struct firewall_match *match = &row->rule.match;
	const char *icmp = NULL;
	char text[40];

	if (command->verbose) {
		count_print(row->packets, command->exact, command->exact ? 8 : 5);
		count_print(row->bytes, command->exact, command->exact ? 10 : 5);
	}
	printf("%-9s %c%-5s", row->rule.target, is(match, FIREWALL_NOT_PROTOCOL) ? '!' : ' ',
	       protocol_name(match->protocol));
	options_print(match);
	if (command->verbose)
		effects_print(match);
	address_write(text, match->source, match->source_mask);
	printf("%c%-20s ", is(match, FIREWALL_NOT_SOURCE) ? '!' : ' ', text);
	address_write(text, match->destination, match->destination_mask);
	printf("%s%-20s", is(match, FIREWALL_NOT_DEST) ? "!" : "", text);
	if (match->protocol == IPPROTO_ICMP && !command->numeric)
		icmp = rules_icmp_name(match);
	if (!has_ports(match)) {
		printf("  n/a");
	} else if (icmp) {
		printf("  %s", icmp);
	} else {
		ports_print(match->source_ports, is(match, FIREWALL_NOT_SPORTS));
		printf(" -> ");
		ports_print(match->destination_ports, is(match, FIREWALL_NOT_DPORTS));
	}
	if (strcmp(row->rule.target, "DIVERT") == 0)
		printf(" => %u", match->port);
	putchar('\n');
}

static void head_print(const struct rules_chain *chain, const struct rules_command *command)
{
	if (strcmp(chain->policy, "-") == 0)
		printf("Chain %s (%u references):\n", chain->name, chain->references);
	else if (command->verbose)
		printf("Chain %s (policy %s: %llu packets, %llu bytes):\n", chain->name,
		       chain->policy, chain->packets, chain->bytes);
	else
		printf("Chain %s (policy %s):\n", chain->name, chain->policy);
}

static void columns_print(const struct rules_command *command)
{
	if (command->verbose)
		printf(command->exact ? "    pkts      bytes " : " pkts bytes ");
	printf("%-9s  prot opt    ", "target");
	if (command->verbose)
		printf("tosa tosx  %-10s %-10s %-7s ", "ifname", "mark", "outsize");
	printf(" %-20s  %-20s  ports\n", "source", "destination");
}

int rules_list(const struct rules_command *command)
{
	const struct rules_chain *chain = rules_chains();
	const struct rules_row *rows = rules_rows(command->zero), *row;
	bool found = false;

	for (; chain->name[0]; chain++) {
		bool first = true;

		if (command->chain && strcmp(command->chain, chain->name) != 0)
			continue;
		found = true;
		head_print(chain, command);
		for (row = rows; row->chain[0]; row++) {
			if (strcmp(row->chain, chain->name) != 0)
				continue;
			if (first)
				columns_print(command);
			first = false;
			row_print(row, command);
		}
	}
	return found ? 0 : ENOENT;
}

static void end_save(char letter, struct in_addr at, struct in_addr mask, bool inverted,
		     const uint16_t ports[2], bool inverted_ports)
{
	if (!mask.s_addr && !inverted && every(ports))
		return;
	printf(" -%c %s%s/%s", letter, inverted ? "! " : "", address_text(at), address_text(mask));
	if (every(ports))
		return;
	printf(" %s%u", inverted_ports ? "! " : "", ports[0]);
	if (ports[0] != ports[1])
		printf(":%u", ports[1]);
}

static void row_save(const struct rules_row *row)
{
	const struct firewall_match *match = &row->rule.match;
	bool unnamed = !match->interface[0];

	printf("-A %s", row->chain);
	if (match->protocol || is(match, FIREWALL_NOT_PROTOCOL))
		printf(" -p %s%u", is(match, FIREWALL_NOT_PROTOCOL) ? "! " : "", match->protocol);
	end_save('s', match->source, match->source_mask, is(match, FIREWALL_NOT_SOURCE),
		 match->source_ports, is(match, FIREWALL_NOT_SPORTS));
	end_save('d', match->destination, match->destination_mask, is(match, FIREWALL_NOT_DEST),
		 match->destination_ports, is(match, FIREWALL_NOT_DPORTS));
	if (!unnamed || is(match, FIREWALL_NOT_INTERFACE))
		printf(" -i %s%.16s%s", is(match, FIREWALL_NOT_INTERFACE) ? "! " : "",
		       match->interface, match->flags & FIREWALL_WILD ? "+" : "");
	if (match->flags & FIREWALL_FRAGMENT)
		printf(" %s-f", is(match, FIREWALL_NOT_FRAGMENT) ? "! " : "");
	if (match->flags & FIREWALL_SYN)
		printf(" %s-y", is(match, FIREWALL_NOT_SYN) ? "! " : "");
	if (match->tos_and != 0xff || match->tos_xor)
		printf(" -t 0x%02X 0x%02X", match->tos_and, match->tos_xor);
	if (match->flags & FIREWALL_MARK_SET)
		printf(" -m 0x%x", match->mark);
	else if (match->mark)
		printf(" -m %+d", (int)match->mark);
	if (match->flags & FIREWALL_LOG)
		printf(" -l");
	if (match->flags & FIREWALL_NETLINK)
		printf(" -o %u", match->netlink_size);
	if (strcmp(row->rule.target, "-") != 0)
		printf(" -j %s", row->rule.target);
	if (strcmp(row->rule.target, "DIVERT") == 0)
		printf(" %u", match->port);
	putchar('\n');
}

/* Chains come before the rules that lead to them. */
int rules_save(const struct rules_command *command)
{
	const struct rules_chain *chain = rules_chains();
	const struct rules_row *row = rules_rows(false);
	const char *one = command->chain;
	bool found = false;

	for (; chain->name[0]; chain++) {
		if (one && strcmp(one, chain->name) != 0)
			continue;
		found = true;
		if (strcmp(chain->policy, "-") == 0)
			printf("-N %s\n", chain->name);
		else
			printf("-P %s %s\n", chain->name, chain->policy);
	}
	for (; row->chain[0]; row++)
		if (!one || strcmp(one, row->chain) == 0)
			row_save(row);
	return found ? 0 : ENOENT;
}
