/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk of a packet through the chains of a hook, as match.c and effect.c know it.
 */
#ifndef DIVERT_WALK_H
#define DIVERT_WALK_H

#include "rules.h"

/* The way back from a chain. */
struct frame {
	struct fw_chain *chain;
	struct fw_rule *rule; /* of it, that led on */
	unsigned int number;  /* of that rule */
	u32 way;              /* T3: to that chain */
};

struct walk {
	struct divert_walk *packet; /* NULL: IP_FW_CHECK's */
	const struct iphdr *ip;
	unsigned int len;
	struct fw_dissected dissected;
	struct fw_chain *chain;
	struct fw_rule *rule; /* NULL: before the first */
	unsigned int number;  /* of that rule */
	u32 way;              /* T3: to this chain */
	unsigned int depth;   /* 0: where the walk began */
	struct frame *back;
	unsigned int cost; /* M12: in rules */
	unsigned int budget;
	enum {
		LIVE,    /* an ordinary walk, or past the rule */
		AT_RULE, /* T3: at the rule that took it */
		QUIET,   /* T3: not yet come by that rule */
	} state;
};

/* effect.c: false if there is no memory for it */
bool fw_take_effect(struct walk *w);

#endif /* DIVERT_WALK_H */
