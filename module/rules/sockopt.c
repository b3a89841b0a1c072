// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket options IP_FW_... (R4), with the errors of 2.2.12.
 */
#include <linux/build_bug.h>
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/sockptr.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "rules.h"

static_assert(sizeof(struct ip_fw) == 56);
static_assert(sizeof(struct ip_fwuser) == 68);
static_assert(sizeof(struct ip_fwchange) == 80);
static_assert(sizeof(struct ip_fwnew) == 84);
static_assert(sizeof(struct ip_fwdelnum) == 16);
static_assert(sizeof(struct ip_fwpolicy) == 18);

/* What a program gives. */
union argument {
	ip_chainlabel label;
	struct ip_fwchange change;
	struct ip_fwnew numbered;
	struct ip_fwdelnum number;
	struct ip_fwpolicy policy;
	struct ip_fwtest test;
};

static int append(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	struct fw_rule *rule = fw_make_rule(table, &arg->change.fwc_rule);
	int err;

	if (IS_ERR(rule))
		return PTR_ERR(rule);
	err = fw_append(table, chain, rule);
	if (err)
		fw_free_rule(rule);
	return err;
}

static int numbered(struct fw_table *table, struct fw_chain *chain, const union argument *arg,
		    int (*put)(struct fw_table *table, struct fw_chain *chain, struct fw_rule *rule,
			       u32 number))
{
	struct fw_rule *rule = fw_make_rule(table, &arg->numbered.fwn_rule);
	int err;

	if (IS_ERR(rule))
		return PTR_ERR(rule);
	err = put(table, chain, rule, arg->numbered.fwn_rulenum);
	if (err)
		fw_free_rule(rule);
	return err;
}

static int insert(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	return numbered(table, chain, arg, fw_insert);
}

static int replace(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	return numbered(table, chain, arg, fw_replace);
}

static int delete_number(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	return fw_delete_number(chain, arg->number.fwd_rulenum);
}

static int delete_same(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	struct fw_rule *rule = fw_make_rule(table, &arg->change.fwc_rule);
	int err;

	if (IS_ERR(rule))
		return PTR_ERR(rule);
	err = fw_delete_same(chain, rule);
	fw_free_rule(rule);
	return err;
}

static int flush(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	fw_flush(chain);
	return 0;
}

static int zero(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	struct fw_rule *rule;

	list_for_each_entry(rule, &chain->rules, list)
		fw_rule_zero(rule);
	return 0;
}

/* What answers IP_FW_CHECK: an errno for each verdict, 2.2's, and ours (R3). */
static int check_error(int verdict)
{
	switch (verdict) {
	case FW_ACCEPT:
		return 0;
	case FW_REJECT:
		return -ECONNREFUSED;
	case FW_OVER:
		return -E2BIG; /* M12: too many rules */
	case FW_SKIP:
		return -ENFILE; /* the end of a user's chain */
	case FW_DIVERT:
		return -EREMOTE;
	}
	return -ETIMEDOUT;
}

static int check(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	const struct ip_fwpkt *packet = &arg->test.fwt_packet;
	unsigned int len = offsetofend(struct ip_fwpkt, fwp_protoh);
	int verdict;

	if (packet->fwp_iph.ihl != 5)
		return -EINVAL;
	local_bh_disable();
	rcu_read_lock();
	verdict = fw_test(chain, &packet->fwp_iph, len, packet->fwp_vianame);
	rcu_read_unlock();
	local_bh_enable();
	return check_error(verdict);
}

static int policy(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	int target;

	if (!fw_is_built_in(table, chain) || !fw_find_target(arg->policy.fwp_policy, &target))
		return -EINVAL;
	switch (target) {
	case FW_ACCEPT:
	case FW_BLOCK:
	case FW_REJECT:
		WRITE_ONCE(chain->policy, target);
		return 0;
	}
	return -EINVAL; /* R3: DIVERT too */
}

static int create_chain(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	return fw_create_chain(table, arg->label);
}

static int delete_chain(struct fw_table *table, struct fw_chain *chain, const union argument *arg)
{
	return fw_delete_chain(table, arg->label);
}

#define NO_CHAIN (-1)

#define OPTION(number, structure, place, function) \
	[(number) - IP_FW_BASE_CTL] = {            \
		.size = sizeof(structure),         \
		.chain = place,                    \
		.call = function,                  \
	}

static const struct option {
	unsigned int size;
	int chain; /* where its label is in the argument */
	int (*call)(struct fw_table *table, struct fw_chain *chain, const union argument *arg);
} options[] = {
	OPTION(IP_FW_APPEND, struct ip_fwchange, offsetof(struct ip_fwchange, fwc_label), append),
	OPTION(IP_FW_REPLACE, struct ip_fwnew, offsetof(struct ip_fwnew, fwn_label), replace),
	OPTION(IP_FW_DELETE_NUM, struct ip_fwdelnum, offsetof(struct ip_fwdelnum, fwd_label),
	       delete_number),
	OPTION(IP_FW_DELETE, struct ip_fwchange, offsetof(struct ip_fwchange, fwc_label),
	       delete_same),
	OPTION(IP_FW_INSERT, struct ip_fwnew, offsetof(struct ip_fwnew, fwn_label), insert),
	OPTION(IP_FW_FLUSH, ip_chainlabel, 0, flush),
	OPTION(IP_FW_ZERO, ip_chainlabel, 0, zero),
	OPTION(IP_FW_CHECK, struct ip_fwtest, offsetof(struct ip_fwtest, fwt_label), check),
	OPTION(IP_FW_CREATECHAIN, ip_chainlabel, NO_CHAIN, create_chain),
	OPTION(IP_FW_DELETECHAIN, ip_chainlabel, NO_CHAIN, delete_chain),
	OPTION(IP_FW_POLICY, struct ip_fwpolicy, offsetof(struct ip_fwpolicy, fwp_label), policy),
};

/* The mutex is held. */
static int call(struct fw_table *table, const struct option *option, const union argument *arg)
{
	struct fw_chain *chain = NULL;
	const char *label;

	if (option->chain != NO_CHAIN) {
		label = (const char *)arg + option->chain;
		if (strnlen(label, sizeof(ip_chainlabel)) == sizeof(ip_chainlabel))
			return -EINVAL;
		chain = fw_find_chain(table, label);
		if (!chain)
			return -ENOENT;
	}
	return option->call(table, chain, arg);
}

static int fw_set(struct sock *sk, int number, sockptr_t from, unsigned int len)
{
	const struct option *option = &options[number - IP_FW_BASE_CTL];
	struct fw_table *table = fw_table(sock_net(sk));
	union argument arg = { 0 };
	int err;

	if (!divert_admits(sock_net(sk)))
		return -ENOPROTOOPT; /* M12 */
	if (!ns_capable(sock_net(sk)->user_ns, CAP_NET_ADMIN))
		return -EACCES;
	if (len > sizeof(arg) || len < 1)
		return -EINVAL;
	if (copy_from_sockptr(&arg, from, len))
		return -EFAULT;
	/* IP_FW_MASQ_TIMEOUTS has no call: there is no masquerading. */
	if (!option->call || len != option->size)
		return -EINVAL;
	/* A rule holds from the moment that it is set. */
	err = divert_hooks_need(sock_net(sk));
	if (err)
		return err;
	mutex_lock(&table->lock);
	err = call(table, option, &arg);
	mutex_unlock(&table->lock);
	divert_hooks_release(sock_net(sk));
	return err;
}

static struct nf_sockopt_ops fw_sockopts = {
	.pf = PF_INET,
	.set_optmin = IP_FW_BASE_CTL,
	.set_optmax = IP_FW_BASE_CTL + ARRAY_SIZE(options),
	.set = fw_set,
	.owner = THIS_MODULE,
};

int __init fw_sockopt_init(void)
{
	int err = nf_register_sockopt(&fw_sockopts);

	if (err == -EBUSY)
		pr_err("divert: ip_tables has the socket options %d to %d; remove it first (modprobe -r iptable_filter iptable_nat iptable_mangle iptable_raw ip_tables) and use nftables or iptables-nft\n",
		       IP_FW_BASE_CTL, fw_sockopts.set_optmax - 1);
	return err;
}

void fw_sockopt_exit(void)
{
	nf_unregister_sockopt(&fw_sockopts);
}
