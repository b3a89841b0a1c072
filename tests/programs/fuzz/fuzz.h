/* SPDX-License-Identifier: GPL-2.0-only */
/* What the parts of the program fuzz share: its numbers, and what it has received. */
#ifndef FUZZ_H
#define FUZZ_H

#include "../common/common.h"
#include "../common/firewall.h"

#include <stdint.h>

#define FUZZ_PORT 1000 /* and as many more as there are sockets; at the next one nobody listens */
#define FUZZ_SOCKETS 3
#define FUZZ_KEPT    8
#define FUZZ_LARGEST 70000 /* above what a packet can be */

/* A packet as it was read, with the address that it came with. */
struct kept {
	size_t length;
	struct sockaddr_in from;
	unsigned char bytes[PACKET_MAX];
};

extern struct kept kept[FUZZ_KEPT];
extern unsigned int kept_count;
extern FILE *trace; /* where each call is written to; NULL if it is not */

/* Random numbers of a call: they depend on the seed and the call's number alone. */
void dice_set(uint32_t seed, uint32_t call);
uint32_t dice(void);
uint32_t below(uint32_t bound); /* 0 to bound - 1 */
int chance(unsigned int percent);
void scribble(void *bytes, size_t length); /* random bytes */
void spoil(void *bytes, size_t length);    /* some bits or bytes of it changed */

/* A packet made up or taken from those kept, and the address to send it with. */
size_t fuzz_packet(unsigned char *bytes, const struct kept **source);
socklen_t fuzz_address(unsigned char address[128], const struct kept *source);
uint16_t fuzz_checksum(const unsigned char *bytes, size_t length);
uint32_t fuzz_host(void);

/* One call of the firewall's on a raw socket; and an end to all that such calls have set. */
void fuzz_firewall(int fd);
int fuzz_firewall_reset(int fd);

/* A call about packets that a divert socket keeps; its errno, or 0. Whether any has been told to keep. */
int fuzz_kept(int fd);
extern int fuzz_keeps;

/*
 * As an ordinary user who is root in namespaces of his own: become that, with networks to play with; a call that only
 * then is made; a switch of the machine's owner. fuzz_is_admitted: whether he lets such users have divert sockets.
 */
void fuzz_user_begin(void);
void fuzz_user_call(int firewall);
void fuzz_owner(const char *name, uint32_t value);
extern int fuzz_as_user, fuzz_is_admitted;

/* So many chains, each of which jumps to the next ten times. */
void fuzz_firewall_ladder(int fd, unsigned int chains);

/* An answer that no call may give; what ends the program, by errno. */
void find(const char *what, int error);
void fatal(const char *what);

/* A count for the report, by what was called and how it ended: 0, or errno. */
void tally(const char *call, int error);

#endif
