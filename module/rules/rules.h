/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules half of the module: chains, their rules, and the walk of a packet
 * through them.
 *
 * Context. Chains and rules are changed by processes that hold the mutex of
 * their network namespace, and read by packets under RCU, which a walk never
 * leaves. Counters are of each processor: a walk has bottom halves off.
 */
#ifndef DIVERT_RULES_H
#define DIVERT_RULES_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/u64_stats_sync.h>
#include <linux/ip_fw.h>

#include "divert.h"

struct seq_file;

/* Packets and bytes, on one processor. */
struct fw_count {
	u64_stats_t packets;
	u64_stats_t bytes;
	struct u64_stats_sync syncp;
};

/* ... and on all of them. */
struct fw_sum {
	u64 packets;
	u64 bytes;
};

/* Called with bottom halves off. */
static inline void fw_count_add(struct fw_count __percpu *count, unsigned int packets,
				unsigned int bytes)
{
	struct fw_count *here = this_cpu_ptr(count);

	u64_stats_update_begin(&here->syncp);
	u64_stats_add(&here->packets, packets);
	u64_stats_add(&here->bytes, bytes);
	u64_stats_update_end(&here->syncp);
}

struct fw_chain;

struct fw_rule {
	struct list_head list;
	struct ip_fw fw;
	struct fw_chain *branch; /* target: a user's chain, or */
	int target;              /* FW_... */
	u32 id;                  /* T3: its name among all rules */
	struct fw_count __percpu *count;
	struct fw_sum zero; /* IP_FW_ZERO: not counted any more */
	bool replaced;      /* its counter is another's now */
	struct rcu_head rcu;
};

/* M12: so many chains at most lead one into the other. */
#define FW_DEPTH 16

struct fw_chain {
	struct list_head list;
	struct list_head rules;
	ip_chainlabel label;
	u32 id;
	unsigned int refs;               /* rules that lead here; 1 if built in */
	unsigned int depth;              /* while rules are checked (M12) */
	int policy;                      /* FW_SKIP of a user's chain */
	struct fw_count __percpu *count; /* what met the policy */
	struct rcu_head rcu;
};

/* The chains of one network namespace. */
struct fw_table {
	struct mutex lock;       /* for writing */
	struct list_head chains; /* the built-in ones first */
	struct fw_chain *built_in[DIVERT_HOOKS];
	struct sock *netlink; /* the kernel's, of copies */
	u32 last_id;
};

/* The module's state in a network namespace. */
struct divert_net {
	struct fw_table table;
	u8 passthrough;
	u8 defrag;
	struct divert_limits limits;
	bool large;                 /* raw sockets may send such: socket/hdrincl.c */
	atomic_t over;              /* M12: walks over their budget */
	struct ratelimit_state log; /* M12: of packets */
	struct ctl_table_header *sysctl;
	struct net *net;
	struct list_head node; /* of all of them, and whether its files */
	bool shown;            /* are there: files.c */
};

/* main.c */
struct divert_net *divert_net(const struct net *net);

/* files.c */
int divert_files_init(void);
void divert_files_exit(void);
int divert_files_update(void);

/* sysctl.c */
extern unsigned int fw_walk_budget; /* M12 */
int divert_sysctl_net_init(struct net *net, struct divert_net *dn);
void divert_sysctl_net_exit(struct divert_net *dn);
int divert_sysctl_init(void);
void divert_sysctl_exit(void);

/* chains.c: but for the first two, the mutex is held */
int fw_table_init(struct fw_table *table);
void fw_table_exit(struct fw_table *table);
bool fw_is_built_in(const struct fw_table *table, const struct fw_chain *chain);
struct fw_chain *fw_find_chain(struct fw_table *table, const char *label);
int fw_create_chain(struct fw_table *table, const char *label);
int fw_delete_chain(struct fw_table *table, const char *label);
u32 fw_new_id(struct fw_table *table);

/* rule.c: the mutex is held */
struct fw_rule *fw_make_rule(struct fw_table *table, const struct ip_fwuser *user);
void fw_free_rule(struct fw_rule *rule);
int fw_append(struct fw_table *table, struct fw_chain *chain, struct fw_rule *rule);
int fw_insert(struct fw_table *table, struct fw_chain *chain, struct fw_rule *rule, u32 number);
int fw_replace(struct fw_table *table, struct fw_chain *chain, struct fw_rule *rule, u32 number);
int fw_delete_number(struct fw_chain *chain, u32 number);
int fw_delete_same(struct fw_chain *chain, const struct fw_rule *rule);
void fw_flush(struct fw_chain *chain);

/* targets.c */
bool fw_find_target(const char *label, int *target);
const char *fw_target_name(const struct fw_chain *branch, int target);

/* count.c */
struct fw_count __percpu *fw_count_alloc(void);
struct fw_sum fw_count_sum(const struct fw_count __percpu *count);
struct fw_sum fw_rule_sum(const struct fw_rule *rule);
void fw_rule_zero(struct fw_rule *rule);

/* match.c: under RCU, with bottom halves off; for IP_FW_CHECK */
#define FW_OVER 9 /* a verdict: the walk is over its budget (M12) */
int fw_test(struct fw_chain *chain, const struct iphdr *ip, unsigned int len, const char *ifname);

/* dissect.c */
struct fw_dissected {
	const char *ifname;
	u16 sport, dport; /* 0xffff: none */
	bool fragment;    /* its ports cannot be seen */
	bool syn;
	const char *suspect; /* R1: why it is blocked at once */
};

void fw_dissect(struct fw_dissected *dissected, const struct iphdr *ip, unsigned int len);
bool fw_matches(const struct ip_fw *fw, const struct fw_dissected *dissected,
		const struct iphdr *ip);

/* log.c */
void fw_log_init(struct divert_net *dn);
void fw_log(const struct net *net, const struct fw_dissected *dissected, const struct iphdr *ip,
	    unsigned int len, const struct fw_chain *chain, const struct fw_rule *rule,
	    unsigned int number);
void fw_log_over(const struct net *net, const struct fw_dissected *dissected,
		 const struct iphdr *ip, unsigned int len);
void fw_log_suspect(const struct net *net, const struct fw_dissected *dissected,
		    const struct iphdr *ip, unsigned int len);

/* netlink.c */
bool fw_netlink_copy(const struct divert_walk *packet, const struct ip_fw *fw);
int fw_netlink_init(struct net *net);
void fw_netlink_exit(struct net *net);

/* sockopt.c */
int fw_sockopt_init(void);
void fw_sockopt_exit(void);

/* proc.c */
int fw_proc_init(struct net *net);
void fw_proc_exit(struct net *net);

#endif /* DIVERT_RULES_H */
