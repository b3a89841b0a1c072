/* SPDX-License-Identifier: GPL-2.0-only */
/* Inside `calls`: a call is a line of words, a reply is a line of JSON. */
#ifndef CALLS_H
#define CALLS_H

#include "../common/values.h"

#define WORDS_MAX 40
#define SLOTS_MAX 512

/* A socket by the name that the script gave it, and what it received last. */
struct slot {
	char name[24];
	int fd;
	struct address from;
	struct bytes data;
};

struct call {
	int count;
	char **words;      /* words[0] is the call's name */
	struct slot *slot; /* of words[1], for calls that work on a socket */
};

/* What a call came to. `result` below 0 means `error`; the rest is shown if it was set. */
struct reply {
	long result;
	int error;
	const struct bytes *data;
	const struct bytes *control;
	const struct address *address;
	const char *address_name;
	const struct constant *flag_table;
	const char *flag_name;
	int flags;
	int has_value;
	long value;
};

enum slot_use { NO_SLOT, NEW_SLOT, OLD_SLOT };

struct command {
	const char *name;
	const char *usage; /* the words after the name */
	enum slot_use slot;
	int least, most; /* how many words, with the name */
	void (*run)(const struct call *call, struct reply *reply);
};

/* Each table ends with a NULL name. */
extern const struct command socket_commands[], data_commands[], many_commands[], option_commands[],
	process_commands[];

/* A slot by its name; with `create`, a free one if there is none. Ends the program if there is none. */
struct slot *find_slot(const char *name, int create);

/* Ends the program: the script is wrong, which is never a result of the kernel under test. */
void script_error(const char *what, const char *word) __attribute__((noreturn));

/* The word as a constant, an address, bytes (in a buffer that the next call reuses) or a number. */
int constant_of(const char *word, const struct constant *table);
void address_of(const struct call *call, const char *word, struct address *address);
void bytes_of(const struct call *call, const char *word, struct bytes *bytes);
long number_of(const char *word, long low, long high);

/* Fills in result and error from what a system call returned. */
void answer(struct reply *reply, long result);

#endif
