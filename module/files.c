// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module's files in /proc, of each network namespace that has them: of another
 * user's only as long as the machine's owner says so (M12).
 */
#include <linux/list.h>
#include <linux/mutex.h>
#include <net/net_namespace.h>

#include "rules/rules.h"

static LIST_HEAD(namespaces);
static DEFINE_MUTEX(lock); /* of the list, and of what is shown */

static int show(struct divert_net *dn)
{
	int err;

	err = divert_sysctl_net_init(dn->net, dn);
	if (err)
		return err;
	err = fw_proc_init(dn->net);
	if (err)
		goto no_chains;
	err = divert_proc_init(dn->net);
	if (err)
		goto no_ports;
	dn->shown = true;
	return 0;

no_ports:
	fw_proc_exit(dn->net);
no_chains:
	divert_sysctl_net_exit(dn);
	return err;
}

static void hide(struct divert_net *dn)
{
	divert_proc_exit(dn->net);
	fw_proc_exit(dn->net);
	divert_sysctl_net_exit(dn);
	dn->shown = false;
}

static int update(struct divert_net *dn)
{
	bool admitted = divert_admits(dn->net);

	if (admitted == dn->shown)
		return 0;
	if (admitted)
		return show(dn);
	hide(dn);
	return 0;
}

/* The owner has changed his mind. What cannot be shown for want of memory is not there. */
int divert_files_update(void)
{
	struct divert_net *dn;
	int err, first_err = 0;

	mutex_lock(&lock);
	list_for_each_entry(dn, &namespaces, node) {
		err = update(dn);
		if (err && !first_err)
			first_err = err;
	}
	mutex_unlock(&lock);
	return first_err;
}

static int __net_init divert_files_net_init(struct net *net)
{
	struct divert_net *dn = divert_net(net);
	int err;

	mutex_lock(&lock);
	err = update(dn);
	if (!err)
		list_add(&dn->node, &namespaces);
	mutex_unlock(&lock);
	if (!err)
		divert_header_update(&dn->defrag, &dn->large);
	return err;
}

static void __net_exit divert_files_net_exit(struct net *net)
{
	struct divert_net *dn = divert_net(net);

	mutex_lock(&lock);
	list_del(&dn->node);
	if (dn->shown)
		hide(dn);
	mutex_unlock(&lock);
	WRITE_ONCE(dn->defrag, false);
	divert_header_update(&dn->defrag, &dn->large);
}

static struct pernet_operations divert_files_net_ops = {
	.init = divert_files_net_init,
	.exit = divert_files_net_exit,
};

int __init divert_files_init(void)
{
	int err = register_pernet_subsys(&divert_files_net_ops);

	if (err)
		return err;
	err = divert_sysctl_init();
	if (err)
		unregister_pernet_subsys(&divert_files_net_ops);
	return err;
}

void divert_files_exit(void)
{
	divert_sysctl_exit();
	unregister_pernet_subsys(&divert_files_net_ops);
}
