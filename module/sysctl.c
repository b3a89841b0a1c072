// SPDX-License-Identifier: GPL-2.0-only
/*
 * net.ipv4.divert.*: the options of each network namespace, and, in the first one
 * alone, what only the machine's owner may change.
 */
#include <linux/slab.h>
#include <linux/sysctl.h>
#include <net/net_namespace.h>

#include "compat.h"
#include "rules/rules.h"

#define PATH "net/ipv4/divert"

/* M12: rules that a packet is compared with in one walk. */
unsigned int fw_walk_budget __read_mostly = 32768;
static unsigned int least_budget = 16;
static unsigned int most_budget = 1 << 20;

/* M12: off, other users' network namespaces have none of this. */
u8 divert_userns __read_mostly;

static int set_userns(divert_ctl_table *table, int write, void *buffer, size_t *lenp, loff_t *ppos)
{
	int err = proc_dou8vec_minmax(table, write, buffer, lenp, ppos);

	return err || !write ? err : divert_files_update();
}

#define OF_MACHINE 3

/* clang-format off */
static struct ctl_table of_machine[] = {
	{
		.procname	= "userns",
		.data		= &divert_userns,
		.maxlen		= sizeof(divert_userns),
		.mode		= 0644,
		.proc_handler	= set_userns,
		.extra1		= SYSCTL_ZERO,
		.extra2		= SYSCTL_ONE,
	},
	{
		.procname	= "walk_budget",
		.data		= &fw_walk_budget,
		.maxlen		= sizeof(fw_walk_budget),
		.mode		= 0644,
		.proc_handler	= proc_douintvec_minmax,
		.extra1		= &least_budget,
		.extra2		= &most_budget,
	},
	{
		.procname	= "mem",
		.data		= divert_mem,
		.maxlen		= sizeof(divert_mem),
		.mode		= 0644,
		.proc_handler	= proc_doulongvec_minmax,
	},
	DIVERT_LAST_SYSCTL
};
/* clang-format on */

static struct ctl_table_header *machine;

static int set_defrag(divert_ctl_table *table, int write, void *buffer, size_t *lenp, loff_t *ppos)
{
	struct divert_net *dn = container_of((u8 *)table->data, struct divert_net, defrag);
	int err;

	if (!write)
		return proc_dou8vec_minmax(table, write, buffer, lenp, ppos);
	err = divert_hooks_need(dn->net);
	if (err)
		return err;
	err = proc_dou8vec_minmax(table, write, buffer, lenp, ppos);
	if (!err)
		divert_header_update(&dn->defrag, &dn->large);
	divert_hooks_release(dn->net);
	return err;
}

/* clang-format off */
#define SWITCH(field, handler)						\
	{								\
		.procname	= #field,				\
		.data		= (void *)offsetof(struct divert_net, field), \
		.maxlen		= sizeof(u8),				\
		.mode		= 0644,					\
		.proc_handler	= handler,				\
		.extra1		= SYSCTL_ZERO,				\
		.extra2		= SYSCTL_ONE,				\
	}

#define LIMIT(name, field)						\
	{								\
		.procname	= name,					\
		.data		= (void *)offsetof(struct divert_net, limits.field), \
		.maxlen		= sizeof(unsigned int),			\
		.mode		= 0644,					\
		.proc_handler	= proc_douintvec,			\
	}

#define OF_NAMESPACE	7

/* The data is its place in struct divert_net, until it is copied. */
static const struct ctl_table of_namespace[] = {
	SWITCH(passthrough, proc_dou8vec_minmax),
	SWITCH(defrag, set_defrag),
	LIMIT("pending_packets", packets),
	LIMIT("pending_bytes", bytes),
	LIMIT("net_pending_packets", net_packets),
	LIMIT("net_pending_bytes", net_bytes),
	LIMIT("unconfirmed", unconfirmed),
	DIVERT_LAST_SYSCTL
};
/* clang-format on */

int divert_sysctl_net_init(struct net *net, struct divert_net *dn)
{
	struct ctl_table *table = kmemdup(of_namespace, sizeof(of_namespace), GFP_KERNEL);
	int i;

	if (!table)
		return -ENOMEM;
	for (i = 0; i < OF_NAMESPACE; i++)
		table[i].data = (u8 *)dn + (size_t)table[i].data;
	dn->sysctl = divert_register_sysctl(net, PATH, table, OF_NAMESPACE);
	if (dn->sysctl)
		return 0;
	kfree(table);
	return -ENOMEM;
}

void divert_sysctl_net_exit(struct divert_net *dn)
{
	const struct ctl_table *table = dn->sysctl->ctl_table_arg;

	unregister_net_sysctl_table(dn->sysctl);
	kfree(table);
}

int __init divert_sysctl_init(void)
{
	machine = divert_register_sysctl(&init_net, PATH, of_machine, OF_MACHINE);
	return machine ? 0 : -ENOMEM;
}

void divert_sysctl_exit(void)
{
	unregister_net_sysctl_table(machine);
}
