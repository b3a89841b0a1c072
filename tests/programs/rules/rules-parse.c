/* SPDX-License-Identifier: GPL-2.0-only */
/* The words of the rule tool's command line: those of ipchains, as far as the tests use them. */
#include "rules.h"

#include <stdio.h>
#include <string.h>

#define EVERY_PORT 0xffff

/* The words that are left, and where the values go. */
struct parser {
	char **words;
	struct rules_command *command;
	const char *source_ports, *destination_ports; /* given with -s and -d */
	const char *icmp_type;
};

static bool is_option(const char *word)
{
	return word && (word[0] == '-' || strcmp(word, "!") == 0);
}

/* The next word, if it is a value. */
static const char *optional(struct parser *p)
{
	return *p->words && !is_option(*p->words) ? *p->words++ : NULL;
}

static const char *required(struct parser *p, const char *option)
{
	if (!*p->words)
		rules_fail(RULES_MISUSED, "%s wants a value", option);
	return *p->words++;
}

static bool inverted(struct parser *p)
{
	if (!*p->words || strcmp(*p->words, "!") != 0)
		return false;
	p->words++;
	return true;
}

static void copy_label(firewall_label label, const char *text)
{
	if (strlen(text) >= sizeof(firewall_label))
		rules_fail(RULES_MISUSED, "the name `%s' has more than 8 letters", text);
	strcpy(label, text);
}

static const char *end(struct parser *p, const char *option, struct in_addr *at,
		       struct in_addr *mask, uint16_t not_address, uint16_t not_ports)
{
	struct firewall_match *match = &p->command->rule.match;
	const char *given;

	if (inverted(p))
		match->inverted |= not_address;
	rules_address(required(p, option), at, mask);
	if (*p->words && strcmp(*p->words, "!") == 0 && p->words[1] && !is_option(p->words[1])) {
		p->words++;
		match->inverted |= not_ports;
	}
	given = optional(p);
	return given;
}

static void interface(struct parser *p)
{
	struct firewall_match *match = &p->command->rule.match;
	const char *name;
	size_t length;

	if (inverted(p))
		match->inverted |= FIREWALL_NOT_INTERFACE;
	name = required(p, "-i");
	length = strlen(name);
	if (length >= sizeof(match->interface))
		rules_fail(RULES_MISUSED, "the interface's name `%s' is too long", name);
	memcpy(match->interface, name, length);
	if (length && name[length - 1] == '+') {
		match->interface[length - 1] = '\0';
		match->flags |= FIREWALL_WILD;
	}
}

static void mark(struct parser *p)
{
	struct firewall_match *match = &p->command->rule.match;
	const char *text = required(p, "-m");
	bool sign = text[0] == '+' || text[0] == '-';

	match->mark = (uint32_t)rules_number(text + sign, 0, 0xffffffff, "mark");
	if (text[0] == '-')
		match->mark = -match->mark;
	if (!sign)
		match->flags |= FIREWALL_MARK_SET;
}

static void target(struct parser *p)
{
	struct firewall_rule *rule = &p->command->rule;
	const char *port;

	copy_label(rule->target, required(p, "-j"));
	if (strcmp(rule->target, "DIVERT") != 0)
		return;
	port = *p->words && strcmp(*p->words, "!") != 0 &&
			       (!is_option(*p->words) || strchr("0123456789", (*p->words)[1])) ?
		       *p->words++ :
		       NULL;
	if (!port || !port[0])
		rules_fail(RULES_MISUSED, "-j DIVERT requires a port (1-65535)");
	rule->match.port = rules_divert_port(port);
}

static const char *policy(const char *name)
{
	if (strcmp(name, "DIVERT") == 0)
		rules_fail(RULES_MISUSED, "DIVERT cannot be a policy, only the target of a rule");
	return name;
}

static void command_of(struct parser *p, char letter)
{
	struct rules_command *command = p->command;
	const char *option = (const char[]){ '-', letter, '\0' };
	const char *given;

	if (command->letter && !(command->letter == 'L' && letter == 'Z'))
		rules_fail(RULES_MISUSED, "-%c and -%c are two commands", command->letter, letter);
	if (command->letter)
		command->zero = true;
	else
		command->letter = letter;
	if (strchr("FLSXZ", letter)) {
		given = optional(p);
		if (given)
			command->chain = given;
		return;
	}
	command->chain = required(p, option);
	if (letter == 'P')
		command->policy = policy(required(p, option));
	given = strchr("DIR", letter) ? optional(p) : NULL;
	if (letter == 'R' && !given)
		rules_fail(RULES_MISUSED, "-R requires a rule number");
	if (given)
		command->number = (uint32_t)rules_number(given, 1, 0x7fffffff, "rule number");
}

static void flag(struct parser *p, char letter, bool not)
{
	struct firewall_match *match = &p->command->rule.match;
	const char *given;

	switch (letter) {
	case 'y':
		match->flags |= FIREWALL_SYN;
		match->inverted |= not ? FIREWALL_NOT_SYN : 0;
		return;
	case 'f':
		match->flags |= FIREWALL_FRAGMENT;
		match->inverted |= not ? FIREWALL_NOT_FRAGMENT : 0;
		return;
	case 'l':
		match->flags |= FIREWALL_LOG;
		return;
	case 'o':
		match->flags |= FIREWALL_NETLINK;
		given = optional(p);
		match->netlink_size =
			(uint16_t)(given ? rules_number(given, 0, 65535, "size") : 0xffff);
		return;
	case 'b':
		p->command->both_ways = true;
		return;
	case 'n':
		p->command->numeric = true;
		return;
	case 'v':
		p->command->verbose = true;
		return;
	case 'x':
		p->command->exact = true;
		return;
	}
	rules_fail(RULES_MISUSED, "unknown option -%c", letter);
}

static void option(struct parser *p, char letter, bool not)
{
	struct firewall_match *match = &p->command->rule.match;

	switch (letter) {
	case 'p':
		if (inverted(p))
			match->inverted |= FIREWALL_NOT_PROTOCOL;
		match->protocol = rules_protocol(required(p, "-p"));
		return;
	case 's':
		p->source_ports = end(p, "-s", &match->source, &match->source_mask,
				      FIREWALL_NOT_SOURCE, FIREWALL_NOT_SPORTS);
		return;
	case 'd':
		p->destination_ports = end(p, "-d", &match->destination, &match->destination_mask,
					   FIREWALL_NOT_DEST, FIREWALL_NOT_DPORTS);
		return;
	case 'i':
		interface(p);
		return;
	case 'm':
		mark(p);
		return;
	case 't':
		match->tos_and = rules_tos(required(p, "-t"));
		match->tos_xor = rules_tos(required(p, "-t"));
		return;
	case 'j':
		target(p);
		return;
	}
	flag(p, letter, not);
}

/* "--icmp-type", "-lv" or "-s"; of letters that take values only the last may have some. */
static void word(struct parser *p)
{
	bool not = inverted(p);
	const char *text = *p->words;

	if (!text || text[0] != '-' || !text[1])
		rules_fail(RULES_MISUSED, "unexpected `%s'", text ? text : "!");
	p->words++;
	if (strcmp(text, "--icmp-type") == 0) {
		if (inverted(p))
			p->command->rule.match.inverted |= FIREWALL_NOT_SPORTS;
		p->icmp_type = required(p, text);
		return;
	}
	for (text++; *text; text++) {
		if (strchr("ACDFILNPRSXZ", *text))
			command_of(p, *text);
		else
			option(p, *text, not);
	}
}

static void finish(struct parser *p)
{
	struct rules_command *command = p->command;
	struct firewall_match *match = &command->rule.match;
	bool icmp = match->protocol == IPPROTO_ICMP;

	if ((p->source_ports || p->destination_ports) &&
	    (!match->protocol || match->inverted & FIREWALL_NOT_PROTOCOL))
		rules_fail(RULES_MISUSED, "ports want a protocol");
	if (p->icmp_type || (icmp && p->source_ports && p->source_ports[0] > '9')) {
		const char *name = p->icmp_type ? p->icmp_type : p->source_ports;

		if (!icmp || rules_icmp_type(name, match))
			rules_fail(RULES_MISUSED, "`%s' is no ICMP type", name);
		p->source_ports = NULL;
	}
	if (p->source_ports)
		rules_ports(p->source_ports, match->source_ports);
	if (p->destination_ports)
		rules_ports(p->destination_ports, match->destination_ports);
	command->has_source_port = match->source_ports[0] == match->source_ports[1];
	command->has_destination_port = match->destination_ports[0] == match->destination_ports[1];
	if (match->flags & FIREWALL_SYN &&
	    (match->protocol != IPPROTO_TCP || match->inverted & FIREWALL_NOT_PROTOCOL))
		rules_fail(RULES_MISUSED, "-y wants the protocol TCP");
}

void rules_parse(char **words, struct rules_command *command)
{
	struct parser p = { .words = words, .command = command };
	struct firewall_match *match = &command->rule.match;

	memset(command, 0, sizeof(*command));
	match->source_ports[1] = match->destination_ports[1] = EVERY_PORT;
	match->tos_and = 0xff;
	while (*p.words)
		word(&p);
	finish(&p);
	if (!command->letter)
		rules_fail(RULES_MISUSED, "no command");
}
