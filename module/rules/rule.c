// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules, and how they change. Errors are those of 2.2.12.
 */
#include <linux/err.h>
#include <linux/in.h>
#include <linux/rculist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rules.h"

static void free_rule_rcu(struct rcu_head *head)
{
	struct fw_rule *rule = container_of(head, struct fw_rule, rcu);

	if (!rule->replaced)
		free_percpu(rule->count);
	kfree(rule);
}

/* One that no chain has. */
void fw_free_rule(struct fw_rule *rule)
{
	free_rule_rcu(&rule->rcu);
}

static void link_branch(struct fw_rule *rule)
{
	if (rule->branch)
		rule->branch->refs++;
}

static void drop_rule(struct fw_rule *rule)
{
	if (rule->branch)
		rule->branch->refs--;
	call_rcu(&rule->rcu, free_rule_rcu);
}

static bool names_ports(const struct ip_fw *fw)
{
	return fw->fw_spts[0] != 0 || fw->fw_spts[1] != 0xffff || fw->fw_dpts[0] != 0 ||
	       fw->fw_dpts[1] != 0xffff;
}

static bool has_ports(const struct ip_fw *fw)
{
	return !(fw->fw_invflg & IP_FW_INV_PROTO) &&
	       (fw->fw_proto == IPPROTO_TCP || fw->fw_proto == IPPROTO_UDP ||
		fw->fw_proto == IPPROTO_ICMP);
}

/* Where the rule leads: a target, or a chain of the user's. */
static int find_branch(struct fw_table *table, const char *label, struct fw_rule *rule)
{
	if (fw_find_target(label, &rule->target))
		return 0;
	rule->branch = fw_find_chain(table, label);
	if (!rule->branch || fw_is_built_in(table, rule->branch))
		return -ENOENT;
	return 0;
}

struct fw_rule *fw_make_rule(struct fw_table *table, const struct ip_fwuser *user)
{
	struct fw_rule *rule;
	int err;

	if (user->ipfw.fw_flg & ~IP_FW_F_MASK)
		return ERR_PTR(-EINVAL);
	if (names_ports(&user->ipfw) && !has_ports(&user->ipfw))
		return ERR_PTR(-EINVAL);

	rule = kzalloc(sizeof(*rule), GFP_KERNEL_ACCOUNT);
	if (!rule)
		return ERR_PTR(-ENOMEM);
	rule->fw = user->ipfw;
	/* 2.2 says as much where it lists the rule. */
	if (!rule->fw.fw_vianame[0])
		rule->fw.fw_flg |= IP_FW_F_WILDIF;
	err = find_branch(table, user->label, rule);
	if (err)
		goto fail;
	err = -EINVAL;
	if (!rule->branch && rule->target == FW_DIVERT && !rule->fw.fw_redirpt)
		goto fail; /* R4 */
	err = -ENOMEM;
	rule->count = fw_count_alloc();
	if (!rule->count)
		goto fail;
	rule->id = fw_new_id(table);
	return rule;

fail:
	kfree(rule);
	return ERR_PTR(err);
}

/* Rules in chains; the first has number 1. */

static struct fw_rule *rule_at(const struct fw_chain *chain, u32 number)
{
	struct fw_rule *rule;

	if (!number)
		return NULL;
	list_for_each_entry(rule, &chain->rules, list)
		if (!--number)
			return rule;
	return NULL;
}

/* This rule, of a chain that is so deep, leads into another. False: too deep. */
static bool lead(const struct fw_rule *rule, unsigned int depth, bool *changed)
{
	if (!rule->branch || rule->branch->depth > depth)
		return true;
	rule->branch->depth = depth + 1;
	*changed = true;
	return depth < FW_DEPTH;
}

/*
 * M12: whether this rule may be in that chain, in the place of `old` if there is one.
 * How deep each chain can be come to is counted until nothing changes any more; in a
 * circle that ends where it is too deep.
 */
static int check_depth(struct fw_table *table, const struct fw_chain *chain,
		       const struct fw_rule *rule, const struct fw_rule *old)
{
	const struct fw_rule *other;
	struct fw_chain *each;
	bool changed;

	if (!rule->branch)
		return 0;
	list_for_each_entry(each, &table->chains, list)
		each->depth = 1;
	do {
		changed = false;
		list_for_each_entry(each, &table->chains, list) {
			list_for_each_entry(other, &each->rules, list)
				if (other != old && !lead(other, each->depth, &changed))
					return -ELOOP;
			if (each == chain && !lead(rule, each->depth, &changed))
				return -ELOOP;
			cond_resched();
		}
	} while (changed);
	return 0;
}

int fw_append(struct fw_table *table, struct fw_chain *chain, struct fw_rule *rule)
{
	int err = check_depth(table, chain, rule, NULL);

	if (err)
		return err;
	link_branch(rule);
	list_add_tail_rcu(&rule->list, &chain->rules);
	return 0;
}

int fw_insert(struct fw_table *table, struct fw_chain *chain, struct fw_rule *rule, u32 number)
{
	struct fw_rule *before = rule_at(chain, number - 1);
	int err;

	if (number != 1 && !before)
		return -EINVAL;
	err = check_depth(table, chain, rule, NULL);
	if (err)
		return err;
	link_branch(rule);
	list_add_rcu(&rule->list, before ? &before->list : &chain->rules);
	return 0;
}

/* As 2.2: it goes on counting where the old one was. */
int fw_replace(struct fw_table *table, struct fw_chain *chain, struct fw_rule *rule, u32 number)
{
	struct fw_rule *old = rule_at(chain, number);
	int err;

	if (!old)
		return -EINVAL;
	err = check_depth(table, chain, rule, old);
	if (err)
		return err;
	link_branch(rule);
	free_percpu(rule->count);
	rule->count = old->count;
	rule->zero = old->zero;
	old->replaced = true;
	list_replace_rcu(&old->list, &rule->list);
	drop_rule(old);
	return 0;
}

int fw_delete_number(struct fw_chain *chain, u32 number)
{
	struct fw_rule *rule = rule_at(chain, number);

	if (!rule)
		return -ENOENT;
	list_del_rcu(&rule->list);
	drop_rule(rule);
	return 0;
}

/* As 2.2, the mark does not tell rules apart. */
static bool same(const struct fw_rule *a, const struct fw_rule *b)
{
	const struct ip_fw *x = &a->fw, *y = &b->fw;

	return x->fw_src.s_addr == y->fw_src.s_addr && x->fw_dst.s_addr == y->fw_dst.s_addr &&
	       x->fw_smsk.s_addr == y->fw_smsk.s_addr && x->fw_dmsk.s_addr == y->fw_dmsk.s_addr &&
	       !((x->fw_flg ^ y->fw_flg) & ~IP_FW_F_MARKABS) && x->fw_invflg == y->fw_invflg &&
	       x->fw_proto == y->fw_proto && x->fw_redirpt == y->fw_redirpt &&
	       !memcmp(x->fw_spts, y->fw_spts, sizeof(x->fw_spts)) &&
	       !memcmp(x->fw_dpts, y->fw_dpts, sizeof(x->fw_dpts)) &&
	       x->fw_outputsize == y->fw_outputsize &&
	       !strncmp(x->fw_vianame, y->fw_vianame, IFNAMSIZ) && a->branch == b->branch &&
	       (a->branch || a->target == b->target);
}

int fw_delete_same(struct fw_chain *chain, const struct fw_rule *rule)
{
	struct fw_rule *old;

	list_for_each_entry(old, &chain->rules, list) {
		if (!same(old, rule))
			continue;
		list_del_rcu(&old->list);
		drop_rule(old);
		return 0;
	}
	return -EINVAL;
}

void fw_flush(struct fw_chain *chain)
{
	struct fw_rule *rule, *next;

	list_for_each_entry_safe(rule, next, &chain->rules, list) {
		list_del_rcu(&rule->list);
		drop_rule(rule);
	}
}
