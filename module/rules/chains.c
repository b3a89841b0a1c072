// SPDX-License-Identifier: GPL-2.0-only
/*
 * The chains of a network namespace. Errors are those of 2.2.12.
 */
#include <linux/errno.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rules.h"

/* Not used again before it wraps: set anew, a rule is another one (T3). */
u32 fw_new_id(struct fw_table *table)
{
	do
		table->last_id++;
	while (!table->last_id);
	return table->last_id;
}

static void free_chain_rcu(struct rcu_head *head)
{
	struct fw_chain *chain = container_of(head, struct fw_chain, rcu);

	free_percpu(chain->count);
	kfree(chain);
}

static struct fw_chain *make_chain(struct fw_table *table, const char *label, unsigned int refs,
				   int policy)
{
	struct fw_chain *chain = kzalloc(sizeof(*chain), GFP_KERNEL_ACCOUNT);

	if (!chain)
		return NULL;
	INIT_LIST_HEAD(&chain->rules);
	strscpy(chain->label, label, sizeof(chain->label));
	chain->refs = refs;
	chain->policy = policy;
	chain->id = fw_new_id(table);
	chain->count = fw_count_alloc();
	if (!chain->count) {
		free_chain_rcu(&chain->rcu);
		return NULL;
	}
	list_add_tail(&chain->list, &table->chains);
	return chain;
}

bool fw_is_built_in(const struct fw_table *table, const struct fw_chain *chain)
{
	int i;

	for (i = 0; i < DIVERT_HOOKS; i++)
		if (table->built_in[i] == chain)
			return true;
	return false;
}

/* The label may lack its zero, and is no chain's then. */
struct fw_chain *fw_find_chain(struct fw_table *table, const char *label)
{
	struct fw_chain *chain;

	list_for_each_entry(chain, &table->chains, list)
		if (!strncmp(chain->label, label, sizeof(chain->label)))
			return chain;
	return NULL;
}

int fw_create_chain(struct fw_table *table, const char *label)
{
	if (strnlen(label, sizeof(ip_chainlabel)) == sizeof(ip_chainlabel))
		return -EINVAL;
	if (fw_find_chain(table, label))
		return -EEXIST;
	return make_chain(table, label, 0, FW_SKIP) ? 0 : -ENOMEM;
}

int fw_delete_chain(struct fw_table *table, const char *label)
{
	struct fw_chain *chain = fw_find_chain(table, label);

	if (!chain)
		return -ENOENT;
	if (chain->refs)
		return -EBUSY;
	if (!list_empty(&chain->rules))
		return -ENOTEMPTY;
	list_del(&chain->list);
	call_rcu(&chain->rcu, free_chain_rcu);
	return 0;
}

bool fw_in_use(const struct net *net)
{
	struct fw_table *table = fw_table(net);
	struct fw_chain *chain;
	bool used = false;

	mutex_lock(&table->lock);
	list_for_each_entry(chain, &table->chains, list)
		used |= !list_empty(&chain->rules) ||
			(fw_is_built_in(table, chain) && chain->policy != FW_ACCEPT);
	mutex_unlock(&table->lock);
	return used;
}

/* The table. */

int fw_table_init(struct fw_table *table)
{
	static const char *const labels[DIVERT_HOOKS] = {
		[DIVERT_INPUT - 1] = IP_FW_LABEL_INPUT,
		[DIVERT_FORWARD - 1] = IP_FW_LABEL_FORWARD,
		[DIVERT_OUTPUT - 1] = IP_FW_LABEL_OUTPUT,
	};
	int i;

	mutex_init(&table->lock);
	INIT_LIST_HEAD(&table->chains);
	for (i = 0; i < DIVERT_HOOKS; i++) {
		table->built_in[i] = make_chain(table, labels[i], 1, FW_ACCEPT);
		if (!table->built_in[i]) {
			fw_table_exit(table);
			return -ENOMEM;
		}
	}
	return 0;
}

/* No packet and no process comes here any more. */
void fw_table_exit(struct fw_table *table)
{
	struct fw_chain *chain, *next;

	list_for_each_entry(chain, &table->chains, list)
		fw_flush(chain);
	list_for_each_entry_safe(chain, next, &table->chains, list) {
		list_del(&chain->list);
		call_rcu(&chain->rcu, free_chain_rcu);
	}
}
