/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of the rule tool: words, the kernel's answers, tables. */
#ifndef RULES_H
#define RULES_H

#include "../common/firewall.h"

#include <stdbool.h>

/* Exit statuses, as ipchains has them. */
enum { RULES_DONE, RULES_REFUSED, RULES_MISUSED };

/* A command line. */
struct rules_command {
	char letter;        /* of the command: A C D F I L N P R S X Z, or 0 */
	bool zero;          /* -Z beside -L */
	const char *chain;  /* or NULL */
	const char *policy; /* of -P */
	uint32_t number;    /* of -I, -R, -D; 0: none was given */
	struct firewall_rule rule;
	bool both_ways, numeric, verbose, exact;
	bool has_source_port, has_destination_port;
};

/* What /proc/net/ip_fwnames says of a chain. */
struct rules_chain {
	firewall_label name, policy; /* of a chain of the user's the policy is "-" */
	unsigned int references;
	unsigned long long packets, bytes;
};

/* What /proc/net/ip_fwchains says of a rule. */
struct rules_row {
	firewall_label chain;
	struct firewall_rule rule;
	unsigned long long packets, bytes;
};

/* Ends the program. The status says whose fault it was. */
void rules_fail(int status, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* rules-parse.c: ends the program if the words make no command. */
void rules_parse(char **words, struct rules_command *command);

/* rules-values.c: each ends the program if the text is not one. */
unsigned long rules_number(const char *text, unsigned long low, unsigned long high,
			   const char *what);
uint16_t rules_protocol(const char *text);
void rules_address(const char *text, struct in_addr *at, struct in_addr *mask);
void rules_ports(const char *text, uint16_t range[2]);
uint8_t rules_tos(const char *text);
uint16_t rules_divert_port(const char *text);

/* rules-icmp.c: type and codes by name; a beginning will do if it is the only one. Returns 0, or -1. */
int rules_icmp_type(const char *name, struct firewall_match *match);
/* The name of exactly these, or NULL. */
const char *rules_icmp_name(const struct firewall_match *match);

/* rules-table.c: whether this network namespace has such a firewall, and what to say where it has none. */
bool rules_are_there(void);
#define RULES_ABSENT \
	"no /proc/net/ip_fwnames, so there is no such firewall here (is the module divert loaded?)"

/* All of them, in the kernel's order, ended by one without a name. */
struct rules_chain *rules_chains(void);
struct rules_row *rules_rows(bool zero);

/* rules-print.c: 0, or ENOENT if there is no such chain. */
int rules_list(const struct rules_command *command);
int rules_save(const struct rules_command *command);

#endif
