/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two halves of the module know of each other: the rules' walk, and
 * the sockets that it finds.
 *
 * Statement numbers (S1, T3, ...) are those of the project's SPEC.md.
 */
#ifndef DIVERT_H
#define DIVERT_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

struct divert_ports;
struct fw_table;
struct iphdr;
struct net_device;
struct sk_buff;
struct sock;

#define IPPROTO_DIVERT 254

/* Hooks; a packet's mark and tag say them in two bits. */
#define DIVERT_INPUT   1
#define DIVERT_FORWARD 2
#define DIVERT_OUTPUT  3
#define DIVERT_HOOKS   3

/* Verdicts, with 2.2's numbers; some are targets only. */
#define FW_REJECT (-1)
#define FW_BLOCK  1
#define FW_ACCEPT 2
#define FW_SKIP   5 /* a rule without a target */
#define FW_RETURN 6
#define FW_DIVERT 8

/* Of a packet that was injected. */
struct divert_mark {
	u32 rule; /* T3: place of the rule that took it */
	u16 port; /* T1: through which it was injected */
	u8 hook;  /* T3: that it re-enters, or 0 */
};

/* One walk of a packet through the chains of one hook. */
struct divert_walk {
	struct net *net;
	struct fw_table *table;     /* its chains, */
	struct divert_ports *ports; /* and its sockets */
	struct sk_buff *skb;
	const struct divert_mark *mark; /* NULL: was never injected */
	const struct net_device *dev;   /* that rules see */
	u8 hook;
	/* Out, with FW_DIVERT: */
	struct sock *sk; /* who listens, or NULL (P1) */
	u32 rule;        /* T3: place of the rule */
};

/* rules/match.c: called under RCU, with bottom halves off */
int fw_walk(struct divert_walk *w, const struct iphdr *ip, unsigned int len);

/* rules/fastpath.c */
bool fw_fastpath(const struct fw_table *table, const struct sk_buff *skb, u8 first, u8 last);

/* S9, M11: of what has been read and not given back; sysctls of a network namespace. */
struct divert_limits {
	unsigned int packets; /* of one socket; charged memory in bytes */
	unsigned int bytes;
	unsigned int net_packets; /* of all of them */
	unsigned int net_bytes;
	unsigned int unconfirmed; /* with such a connection; 0: a quarter of the table */
};

/* main.c: read at run time, of a network namespace; the first two never move */
const struct divert_limits *divert_limits(const struct net *net);
struct fw_table *fw_table(const struct net *net);
bool divert_passthrough(const struct net *net); /* P2 */
bool divert_defrag_is_set(const struct net *net);
bool divert_defrag(const struct net *net); /* F4, F5 */

/* sysctl.c */
extern u8 divert_userns; /* M12 */

/* M12: the machine's owner says whether those of other users have any of this. */
static inline bool divert_admits(const struct net *net)
{
	return likely(net->user_ns == &init_user_ns) || READ_ONCE(divert_userns);
}

/* socket/sock.c */
extern long divert_mem[3]; /* S9: of all queues */
void divert_mem_init(void);
struct sock *divert_listener(struct divert_ports *ports, u16 port); /* under RCU */
void divert_nobody(struct divert_ports *ports);                     /* S11: count one */

/* socket/hdrincl.c */
void divert_header_update(const u8 *defrag, bool *counted);

/* socket/proc.c */
int divert_proc_init(struct net *net);
void divert_proc_exit(struct net *net);

/* socket/proto.c */
int divert_sock_init(void);
void divert_sock_exit(void);

/* rules/chains.c: a rule, or a policy other than ACCEPT; in a process */
bool fw_in_use(const struct net *net);

/* socket/hook_register.c */
int divert_hooks_need(struct net *net);
void divert_hooks_release(struct net *net);
int divert_hooks_init(void);
void divert_hooks_exit(void);

#endif /* DIVERT_H */
