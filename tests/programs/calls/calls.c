/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * calls: makes the system calls that its standard input asks for, one a line, and answers each with
 * one line of JSON, so that a test on another machine can drive any sequence of them. `calls --help`
 * lists them; docs/interceptor.md has an example. A wrong script ends it with exit status 1.
 */
#include "calls.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES (4 * VALUE_MAX)
#define ERRORS_MAX     256

static const struct command *const tables[] = {
	socket_commands, data_commands, many_commands, option_commands, process_commands,
};

static struct slot slots[SLOTS_MAX];

void script_error(const char *what, const char *word)
{
	printf("{\"script_error\":");
	json_string(stdout, what);
	printf(",\"at\":");
	json_string(stdout, word);
	printf("}\n");
	fflush(stdout);
	fprintf(stderr, "calls: %s: %s\n", what, word);
	exit(1);
}

struct slot *find_slot(const char *name, int create)
{
	struct slot *free_slot = NULL;
	int i;

	for (i = 0; i < SLOTS_MAX; i++) {
		if (strcmp(slots[i].name, name) == 0)
			return &slots[i];
		if (!slots[i].name[0] && !free_slot)
			free_slot = &slots[i];
	}
	if (!create)
		script_error("no socket of this name", name);
	if (!free_slot || strlen(name) >= sizeof(free_slot->name))
		script_error("too many sockets, or a name too long", name);
	strcpy(free_slot->name, name);
	free_slot->fd = -1;
	return free_slot;
}

int constant_of(const char *word, const struct constant *table)
{
	int number;

	if (value_constant(word, table, &number) < 0)
		script_error("neither a known name nor a number", word);
	return number;
}

void address_of(const struct call *call, const char *word, struct address *address)
{
	const struct address *last =
		call->slot && call->slot->from.length ? &call->slot->from : NULL;

	if (value_address(word, address, last) < 0)
		script_error("not an address", word);
}

void bytes_of(const struct call *call, const char *word, struct bytes *bytes)
{
	static unsigned char room[VALUE_MAX];
	const struct bytes *last = call->slot && call->slot->data.bytes ? &call->slot->data : NULL;

	if (value_bytes(word, bytes, room, last) < 0)
		script_error("not bytes", word);
}

long number_of(const char *word, long low, long high)
{
	char *end;
	long number = strtol(word, &end, 0);

	if (end == word || *end || number < low || number > high)
		script_error("not a number, or out of bounds", word);
	return number;
}

void answer(struct reply *reply, long result)
{
	reply->result = result;
	reply->error = result < 0 ? errno : 0;
}

static void show(const struct call *call, const struct reply *reply)
{
	printf("{\"call\":");
	json_string(stdout, call->words[0]);
	if (call->slot) {
		printf(",\"socket\":");
		json_string(stdout, call->slot->name);
	}
	printf(",\"result\":%ld", reply->result);
	if (reply->result < 0)
		printf(",\"error\":\"%s\"", errno_name(reply->error));
	if (reply->has_value)
		printf(",\"value\":%ld", reply->value);
	if (reply->flag_table) {
		printf(",\"%s\":", reply->flag_name);
		value_write_flags(stdout, reply->flag_table, reply->flags);
	}
	if (reply->address) {
		printf(",\"%s\":", reply->address_name);
		value_write_address(stdout, reply->address);
	}
	if (reply->data) {
		printf(",\"hex\":\"");
		hex_write(stdout, reply->data->bytes, reply->data->length);
		printf("\"");
	}
	if (reply->control) {
		printf(",\"control\":\"");
		hex_write(stdout, reply->control->bytes, reply->control->length);
		printf("\"");
	}
	printf("}\n");
	fflush(stdout);
}

static void run(const struct command *command, struct call *call, struct reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	if (call->count < command->least || call->count > command->most)
		script_error("wrong number of words for", command->name);
	if (command->slot != NO_SLOT)
		call->slot = find_slot(call->words[1], command->slot == NEW_SLOT);
	command->run(call, reply);
}

/* Shows one line for all: how often it succeeded, and how often each error came. */
static void run_often(const struct command *command, struct call *call, long times)
{
	static unsigned long errors[ERRORS_MAX];
	const char *comma = "";
	unsigned long succeeded = 0;
	struct reply reply;
	long i;

	memset(errors, 0, sizeof(errors));
	for (i = 0; i < times; i++) {
		run(command, call, &reply);
		if (reply.result >= 0)
			succeeded++;
		else
			errors[reply.error & (ERRORS_MAX - 1)]++;
	}
	printf("{\"call\":\"%s\",\"times\":%ld,\"succeeded\":%lu,\"errors\":{", command->name,
	       times, succeeded);
	for (i = 0; i < ERRORS_MAX; i++) {
		if (errors[i]) {
			printf("%s\"%s\":%lu", comma, errno_name((int)i), errors[i]);
			comma = ",";
		}
	}
	printf("}}\n");
	fflush(stdout);
}

static const struct command *find_command(const char *name)
{
	const struct command *command;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (command = tables[i]; command->name; command++)
			if (strcmp(command->name, name) == 0)
				return command;
	script_error("no such call", name);
}

static void run_line(char *line)
{
	char *words[WORDS_MAX], *word;
	struct call call = { .words = words };
	struct reply reply;
	long times = 0;

	for (word = strtok(line, " \t\r\n"); word; word = strtok(NULL, " \t\r\n")) {
		if (call.count == WORDS_MAX)
			script_error("too many words", words[0]);
		words[call.count++] = word;
	}
	if (!call.count || words[0][0] == '#')
		return;
	if (strcmp(words[0], "repeat") == 0) {
		if (call.count < 3)
			script_error("wrong number of words for", "repeat");
		times = number_of(words[1], 1, 1000000);
		call.words += 2;
		call.count -= 2;
	}
	if (times) {
		run_often(find_command(call.words[0]), &call, times);
	} else {
		run(find_command(call.words[0]), &call, &reply);
		show(&call, &reply);
	}
}

static void help(void)
{
	const struct command *command;
	size_t i;

	printf("usage: calls < SCRIPT\nEach line is a call, answered by a line of JSON:\n");
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (command = tables[i]; command->name; command++)
			printf("  %s %s\n", command->name, command->usage);
	printf("  repeat TIMES CALL...\n"
	       "ADDRESS: none null:LENGTH last hex:BYTES in:A.B.C.D:PORT[:ZERO] pkt:INTERFACE[:PROTO]\n"
	       "         ll:INDEX:PROTO nl:PID:GROUPS\n"
	       "BYTES: null:LENGTH last hex:BYTES text:TEXT zero:COUNT fill:COUNT:HEX int:NUMBER\n"
	       "       byte:NUMBER ip:A.B.C.D mreq:GROUP:ADDRESS filter:LENGTH\n");
}

int main(int argc, char **argv)
{
	static char line[LINE_MAX_BYTES];

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		help();
		return 0;
	}
	if (argc != 1) {
		fprintf(stderr, "usage: calls < SCRIPT (calls --help lists the calls)\n");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strchr(line, '\n') && !feof(stdin))
			script_error("line too long", "");
		run_line(line);
	}
	return 0;
}
