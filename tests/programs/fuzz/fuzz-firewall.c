/* SPDX-License-Identifier: GPL-2.0-only */
/* The firewall's setsockopt() with structures that are right, nearly right, and not at all. */
#include "fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define CHAINS_MAX 64

static const char *const builtin[] = { "input", "forward", "output" };
static const char *const targets[] = {
	"DIVERT", "DIVERT", "DIVERT", "DIVERT", "DIVERT", "DIVERT",   "ACCEPT",
	"",       "",       "DENY",   "REJECT", "RETURN", "REDIRECT", "MASQ",
	"QUEUE",  "u0",     "u1",     "u2",     "divert", "DIVERTED",
};
static const char *const interfaces[] = { "", "", "", "eth1", "eth2", "lo", "eth+", "tunl0" };

/* Labels of the chains that calls have made. */
static firewall_label made[CHAINS_MAX];
static unsigned int made_count;

static void chain_label(firewall_label label)
{
	memset(label, 0, sizeof(firewall_label));
	if (chance(75))
		strcpy(label, builtin[below(3)]);
	else if (chance(90))
		label[0] = 'u', label[1] = (char)('0' + below(3));
	else
		scribble(label, sizeof(firewall_label));
}

static void make_rule(struct firewall_rule *rule)
{
	static const unsigned char protocols[] = { 0, 0, 0, 1, 6, 17, 17, 99, 254 };
	struct firewall_match *match = &rule->match;

	memset(rule, 0, sizeof(*rule));
	match->protocol = protocols[below(sizeof(protocols))];
	match->source_ports[1] = match->destination_ports[1] = 0xffff;
	match->tos_and = 0xff;
	match->port = (uint16_t)(chance(90) ? FUZZ_PORT + below(FUZZ_SOCKETS + 1) : dice());
	strcpy(match->interface, interfaces[below(sizeof(interfaces) / sizeof(interfaces[0]))]);
	if (chance(20)) {
		match->destination.s_addr = fuzz_host();
		match->destination_mask.s_addr = chance(60) ? 0xffffffff : dice();
		match->destination.s_addr &= match->destination_mask.s_addr;
	}
	if (chance(15))
		match->inverted = (uint16_t)(dice() & 0x3f);
	/* Of the flags only those that 2.2.12 has; a rule that logs writes to the kernel's log. */
	if (chance(15))
		match->flags = (uint16_t)(dice() & 0x1f);
	if (chance(10))
		match->mark = dice();
	if (chance(10)) {
		match->tos_and = (unsigned char)dice();
		match->tos_xor = (unsigned char)dice();
	}
	if (match->flags)
		match->netlink_size = (uint16_t)dice();
	strcpy(rule->target, targets[below(sizeof(targets) / sizeof(targets[0]))]);
}

/* struct ip_fwtest of 2.2.12. */
struct test {
	unsigned char header[20], transport[20];
	struct in_addr via;
	char interface[16];
	firewall_label chain;
};

_Static_assert(sizeof(struct test) == 72, "struct ip_fwtest has 72 bytes");

/* How many rules a chain has, as the kernel lists them. */
static uint32_t length_of(const firewall_label chain)
{
	static char line[256];
	char begin[16];
	FILE *list = fopen("/proc/net/ip_fwchains", "r");
	uint32_t count = 0;

	/* All of the column: there may be a chain "input" and one "input x". */
	snprintf(begin, sizeof(begin), "%9.8s ", chain);
	while (list && fgets(line, sizeof(line), list))
		if (strncmp(line, begin, strlen(begin)) == 0)
			count++;
	if (list)
		fclose(list);
	return count;
}

static size_t make_value(int option, unsigned char *value)
{
	struct firewall_change *change = (void *)value;
	struct firewall_numbered *numbered = (void *)value;
	struct test *test = (void *)value;

	switch (option) {
	case FIREWALL_APPEND:
	case FIREWALL_DELETE:
		make_rule(&change->rule);
		chain_label(change->chain);
		return sizeof(*change);
	case FIREWALL_INSERT:
	case FIREWALL_REPLACE:
		make_rule(&numbered->rule);
		chain_label(numbered->chain);
		return sizeof(*numbered);
	case FIREWALL_DELETE_NUMBER:
		numbered->number = chance(80) ? 1 + below(5) : dice();
		chain_label((char *)(value + 4));
		return 16;
	case FIREWALL_CHECK:
		scribble(test, sizeof(*test));
		test->header[0] = 0x45;
		strcpy(test->interface,
		       interfaces[below(sizeof(interfaces) / sizeof(interfaces[0]))]);
		chain_label(test->chain);
		return sizeof(*test);
	case FIREWALL_POLICY:
		memset(value, 0, 18);
		strcpy((char *)value, targets[below(sizeof(targets) / sizeof(targets[0]))]);
		chain_label((char *)(value + sizeof(firewall_label)));
		return 18;
	default:
		chain_label((char *)value);
		return sizeof(firewall_label);
	}
}

static int set(int fd, int option, const void *value, socklen_t length)
{
	int error;

	if (trace) {
		fprintf(trace, " setsockopt %d, %u bytes ", option, (unsigned int)length);
		hex_write(trace, value, length);
		fflush(trace);
	}
	error = setsockopt(fd, IPPROTO_IP, option, value, length) < 0 ? errno : 0;
	tally("firewall", error);
	if (trace)
		fprintf(trace, ": %s", error ? errno_name(error) : "done");
	if (!fuzz_is_admitted && error != ENOPROTOOPT)
		find("a rule where the machine's owner does not want any", error);
	return error;
}

static int set_label(int fd, int option, const char *chain)
{
	firewall_label label = "";
	size_t length = strlen(chain);

	memcpy(label, chain, length < sizeof(label) ? length : sizeof(label) - 1);
	return set(fd, option, label, sizeof(label));
}

static int flush(int fd)
{
	unsigned int i;
	int failed = 0;

	for (i = 0; i < 3; i++)
		failed |= set_label(fd, FIREWALL_FLUSH, builtin[i]);
	return failed;
}

static void divert_all(int fd)
{
	struct firewall_change change;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		memset(&change, 0, sizeof(change));
		change.rule.match.source_ports[1] = change.rule.match.destination_ports[1] = 0xffff;
		change.rule.match.tos_and = 0xff;
		change.rule.match.port = (uint16_t)(FUZZ_PORT + below(FUZZ_SOCKETS));
		strcpy(change.rule.target, "DIVERT");
		strcpy(change.chain, builtin[i]);
		if (chance(60))
			set(fd, FIREWALL_APPEND, &change, sizeof(change));
	}
}

/* Those that are deleted again are kept too; deleting them once more does no harm. */
static void keep_label(const char *label)
{
	unsigned int i;

	for (i = 0; i < made_count; i++)
		if (strcmp(made[i], label) == 0)
			return;
	strcpy(made[made_count++], label);
}

void fuzz_firewall(int fd)
{
	static const unsigned char often[] = {
		FIREWALL_APPEND,       FIREWALL_APPEND,        FIREWALL_APPEND,
		FIREWALL_INSERT,       FIREWALL_INSERT,        FIREWALL_REPLACE,
		FIREWALL_DELETE,       FIREWALL_DELETE_NUMBER, FIREWALL_DELETE_NUMBER,
		FIREWALL_ZERO,         FIREWALL_CHECK,         FIREWALL_CHECK,
		FIREWALL_CREATE_CHAIN, FIREWALL_DELETE_CHAIN,
	};
	int option = chance(92) ? often[below(sizeof(often))] : FIREWALL_APPEND + (int)below(16);
	/* The largest structure, and whatever a wrong length reads behind it. */
	static unsigned char value[256];
	size_t length;

	memset(value, 0, sizeof(value));
	length = make_value(option, value);
	if (chance(25))
		spoil(value, length);
	if (chance(3))
		scribble(value, length);
	if (chance(5))
		length = below(sizeof(value) + 1);
	if (option == FIREWALL_INSERT || option == FIREWALL_REPLACE) {
		struct firewall_numbered *numbered = (void *)value;
		uint32_t rules;

		numbered->chain[sizeof(numbered->chain) - 1] = '\0';
		rules = length_of(numbered->chain);
		if (rules == 0 && option == FIREWALL_REPLACE)
			return;
		/*
		 * Only numbers that there are: 2.2.12 does not give back the memory of a rule for which the
		 * chain is too short, and lost memory is what is looked for.
		 */
		numbered->number = 1 + below(rules + (option == FIREWALL_INSERT));
	}
	if (made_count == CHAINS_MAX && option == FIREWALL_CREATE_CHAIN)
		option = FIREWALL_FLUSH;
	if (set(fd, option, value, (socklen_t)length) == 0 && option == FIREWALL_CREATE_CHAIN)
		keep_label((char *)value);
	/*
	 * Most rules hide what is behind them, and long chains slow every packet down: begin again, with
	 * rules that divert everything.
	 */
	if (chance(6)) {
		flush(fd);
		divert_all(fd);
	}
}

/* What is made once is used by the next, wherever others are in the way. */
void fuzz_firewall_ladder(int fd, unsigned int chains)
{
	struct firewall_change change;
	unsigned int i, turn;

	memset(&change, 0, sizeof(change));
	change.rule.match.source_ports[1] = change.rule.match.destination_ports[1] = 0xffff;
	change.rule.match.tos_and = 0xff;
	for (i = 0; i < chains; i++) {
		char label[] = "l?";

		label[1] = (char)('a' + i);
		if (made_count < CHAINS_MAX && set_label(fd, FIREWALL_CREATE_CHAIN, label) == 0)
			keep_label(label);
		strcpy(change.rule.target, label);
		if (i)
			for (turn = 0; turn < 10; turn++)
				set(fd, FIREWALL_APPEND, &change, sizeof(change));
		strcpy(change.chain, label);
	}
	strcpy(change.chain, builtin[below(3)]);
	change.rule.target[1] = (char)('a' + below(chains));
	set(fd, FIREWALL_APPEND, &change, sizeof(change));
}

int fuzz_firewall_reset(int fd)
{
	unsigned int i, turn;
	int failed = flush(fd);

	for (i = 0; i < 3; i++) {
		char policy[18] = "ACCEPT";

		strcpy(policy + sizeof(firewall_label), builtin[i]);
		failed |= set(fd, FIREWALL_POLICY, policy, sizeof(policy));
	}
	/* All are emptied first: a rule in one holds the chain that it jumps to. */
	for (turn = 0; turn < 2; turn++)
		for (i = 0; i < made_count; i++)
			set_label(fd, turn ? FIREWALL_DELETE_CHAIN : FIREWALL_FLUSH, made[i]);
	made_count = 0;
	return failed;
}
