/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rules for divert sockets where there is no ipchains: its command syntax, its tables and its exit
 * statuses, as far as the tests use them, on the socket options of linux/ip_fw.h (SPEC R4). All is
 * numeric: no names of hosts and services.
 */
#include "rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *me = "rules";

void rules_fail(int status, const char *format, ...)
{
	va_list values;

	fprintf(stderr, "%s: ", me);
	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	exit(status);
}

/* The errno, or 0. */
static int give(enum firewall_option option, const void *value, size_t size)
{
	static int control = -1;

	if (control < 0)
		control = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	if (control < 0)
		rules_fail(RULES_REFUSED, "no raw socket: %s", strerror(errno));
	return setsockopt(control, IPPROTO_IP, option, value, (socklen_t)size) ? errno : 0;
}

static void copy_chain(firewall_label label, const char *name)
{
	if (strlen(name) >= sizeof(firewall_label))
		rules_fail(RULES_MISUSED, "the chain's name `%s' has more than 8 letters", name);
	memset(label, 0, sizeof(firewall_label));
	strcpy(label, name);
}

/* The same rule for packets in the other direction. */
static struct firewall_rule turned(const struct firewall_rule *rule)
{
	const struct firewall_match *from = &rule->match;
	struct firewall_rule other = *rule;
	struct firewall_match *to = &other.match;

	to->source = from->destination;
	to->destination = from->source;
	to->source_mask = from->destination_mask;
	to->destination_mask = from->source_mask;
	to->inverted &= (uint16_t)~(FIREWALL_NOT_SOURCE | FIREWALL_NOT_DEST);
	to->inverted |= from->inverted & FIREWALL_NOT_SOURCE ? FIREWALL_NOT_DEST : 0;
	to->inverted |= from->inverted & FIREWALL_NOT_DEST ? FIREWALL_NOT_SOURCE : 0;
	if (from->protocol == IPPROTO_ICMP)
		return other;
	memcpy(to->source_ports, from->destination_ports, sizeof(to->source_ports));
	memcpy(to->destination_ports, from->source_ports, sizeof(to->destination_ports));
	to->inverted &= (uint16_t)~(FIREWALL_NOT_SPORTS | FIREWALL_NOT_DPORTS);
	to->inverted |= from->inverted & FIREWALL_NOT_SPORTS ? FIREWALL_NOT_DPORTS : 0;
	to->inverted |= from->inverted & FIREWALL_NOT_DPORTS ? FIREWALL_NOT_SPORTS : 0;
	return other;
}

static int give_rule(const struct rules_command *command, const struct firewall_rule *rule)
{
	struct firewall_change change = { .rule = *rule };
	struct firewall_numbered numbered = { .rule = *rule, .number = command->number };

	copy_chain(change.chain, command->chain);
	copy_chain(numbered.chain, command->chain);
	switch (command->letter) {
	case 'A':
		return give(FIREWALL_APPEND, &change, sizeof(change));
	case 'D':
		return give(FIREWALL_DELETE, &change, sizeof(change));
	case 'R':
		return give(FIREWALL_REPLACE, &numbered, sizeof(numbered));
	}
	if (!numbered.number)
		numbered.number = 1;
	return give(FIREWALL_INSERT, &numbered, sizeof(numbered));
}

static int change_rule(const struct rules_command *command)
{
	struct firewall_number number = { .number = command->number };
	struct firewall_rule other = turned(&command->rule);
	int error;

	if (command->letter == 'D' && command->number) {
		copy_chain(number.chain, command->chain);
		return give(FIREWALL_DELETE_NUMBER, &number, sizeof(number));
	}
	error = give_rule(command, &command->rule);
	if (!error && command->both_ways)
		error = give_rule(command, &other);
	return error;
}

/* Prints what would become of a packet that has the values of the rule. */
static int check(const struct rules_command *command)
{
	static const struct {
		int error;
		const char *verdict;
	} verdicts[] = {
		{ 0, "accepted" },
		{ ETIMEDOUT, "denied" },
		{ ECONNREFUSED, "rejected" },
		{ ECONNABORTED, "redirected" },
		{ ECONNRESET, "masqueraded" },
		{ EREMOTE, "diverted" },
		{ ELOOP, "caught in loop" },
		{ ENFILE, "passed through chain" },
	};
	const struct firewall_match *match = &command->rule.match;
	struct firewall_packet packet = { .header = { 0x45 } };
	uint16_t ports[2] = { htons(match->source_ports[0]), htons(match->destination_ports[0]) };
	bool has_ports = match->protocol == IPPROTO_TCP || match->protocol == IPPROTO_UDP ||
			 match->protocol == IPPROTO_ICMP;
	size_t i;
	int error;

	if (has_ports && !(match->flags & FIREWALL_FRAGMENT) &&
	    !(command->has_source_port && command->has_destination_port))
		rules_fail(RULES_MISUSED, "-C requires one port for -s and one for -d");
	packet.header[3] = sizeof(packet.header) + sizeof(packet.transport);
	packet.header[7] = match->flags & FIREWALL_FRAGMENT ? 2 : 0;
	packet.header[9] = (uint8_t)match->protocol;
	memcpy(packet.header + 12, &match->source, 4);
	memcpy(packet.header + 16, &match->destination, 4);
	memcpy(packet.transport, ports, sizeof(ports));
	if (match->protocol == IPPROTO_ICMP) {
		packet.transport[0] = (uint8_t)match->source_ports[0];
		packet.transport[1] = (uint8_t)match->destination_ports[0];
	}
	packet.transport[13] = match->flags & FIREWALL_SYN ? 2 : 0;
	memcpy(packet.interface, match->interface, sizeof(packet.interface));
	copy_chain(packet.chain, command->chain);
	error = give(FIREWALL_CHECK, &packet, sizeof(packet));
	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (verdicts[i].error == error) {
			puts(verdicts[i].verdict);
			return 0;
		}
	return error;
}

static int set_policy(const struct rules_command *command)
{
	struct firewall_policy policy;

	copy_chain(policy.chain, command->chain);
	copy_chain(policy.policy, command->policy);
	return give(FIREWALL_POLICY, &policy, sizeof(policy));
}

static int give_chain(enum firewall_option option, const char *name)
{
	firewall_label label;

	copy_chain(label, name);
	return give(option, label, sizeof(label));
}

/* One chain, or each of them; of -X each of the user's. */
static int each_chain(const struct rules_command *command, enum firewall_option option)
{
	const struct rules_chain *chain;
	int error = 0;

	if (command->chain)
		return give_chain(option, command->chain);
	for (chain = rules_chains(); chain->name[0] && !error; chain++)
		if (option != FIREWALL_DELETE_CHAIN || strcmp(chain->policy, "-") == 0)
			error = give_chain(option, chain->name);
	return error;
}

static int run(const struct rules_command *command)
{
	switch (command->letter) {
	case 'A':
	case 'D':
	case 'I':
	case 'R':
		return change_rule(command);
	case 'C':
		return check(command);
	case 'F':
		return each_chain(command, FIREWALL_FLUSH);
	case 'L':
		return rules_list(command);
	case 'N':
		return give_chain(FIREWALL_CREATE_CHAIN, command->chain);
	case 'P':
		return set_policy(command);
	case 'S':
		return rules_save(command);
	case 'X':
		return each_chain(command, FIREWALL_DELETE_CHAIN);
	}
	return each_chain(command, FIREWALL_ZERO);
}

static const char *reason(const struct rules_command *command, int error)
{
	bool sets = strchr("AIR", command->letter);

	/* The options are ip_tables' too, and that answers whatever it likes. */
	if (error != EPERM && !rules_are_there())
		return RULES_ABSENT;
	if (error == ENOENT && sets && strcmp(command->rule.target, "DIVERT") == 0)
		return "No target by that name (Maybe this kernel doesn't support divert sockets?)";
	if (error == ENOENT)
		return sets ? "No target by that name" : "No chain by that name";
	if (error == EINVAL)
		return "bad rule (does a matching rule exist in that chain?)";
	return strerror(error);
}

static void help(void)
{
	printf("usage: %s -A|-D|-C CHAIN RULE\n"
	       "       %s -I CHAIN [NUMBER] RULE, -R CHAIN NUMBER RULE, -D CHAIN NUMBER\n"
	       "       %s -L|-F|-Z|-X|-S [CHAIN] [-n] [-v] [-x]\n"
	       "       %s -N CHAIN, -P CHAIN TARGET\n"
	       "rule:  -p PROTOCOL, -s and -d ADDRESS[/MASK] [PORT[:PORT]], -i INTERFACE,\n"
	       "       --icmp-type TYPE, -y, -f, -b, -l, -o [SIZE], -m MARK, -t AND XOR,\n"
	       "       -j TARGET; ! before a value turns it round\n"
	       "target: ACCEPT, DENY, REJECT, RETURN, DIVERT PORT, or a chain\n",
	       me, me, me, me);
}

int main(int count, char **words)
{
	struct rules_command command;
	int error;

	if (count && words[0][0])
		me = strrchr(words[0], '/') ? strrchr(words[0], '/') + 1 : words[0];
	if (count == 2 && (strcmp(words[1], "--help") == 0 || strcmp(words[1], "-h") == 0)) {
		help();
		return RULES_DONE;
	}
	rules_parse(words + 1, &command);
	error = run(&command);
	if (error)
		rules_fail(RULES_REFUSED, "%s", reason(&command, error));
	return RULES_DONE;
}
