// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hooks are there where something uses them: a rule, a policy, a socket, always-
 * defragment. An idle module costs nothing and changes nothing.
 *
 * They go some time after the last of these, for their going empties netfilter's queues, other
 * people's too; and rules are often set anew by taking all of them away.
 */
#include <linux/mutex.h>
#include <linux/netfilter_ipv4.h>
#include <net/net_namespace.h>

#include "socket.h"

#define LINGER	HZ

static const struct nf_hook_ops divert_nf_ops[] = {
	{
		.hook		= divert_hook_in,
		.priv		= DIVERT_PLACE,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_PRE_ROUTING,
		.priority	= NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	}, {
		.hook		= divert_hook_forward,
		.priv		= DIVERT_PLACE,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_FORWARD,
		.priority	= NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	}, {
		.hook		= divert_hook_out,
		.priv		= DIVERT_PLACE,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_OUT,
		.priority	= NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	}, {
		.hook		= divert_hook_copy,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_POST_ROUTING,
		.priority	= NF_IP_PRI_LAST,
	},
};

static DEFINE_MUTEX(hooks_lock);	/* of what is registered, in all network namespaces */

static bool is_used(struct divert_ports *ports)
{
	return ports->users || divert_defrag(ports->net) || fw_in_use(ports->net);
}

static int hang(struct divert_ports *ports)
{
	int err;

	if (ports->hooked)
		return 0;
	err = nf_register_net_hooks(ports->net, divert_nf_ops, ARRAY_SIZE(divert_nf_ops));
	ports->hooked = !err;
	if (!err)
		divert_bridge_hang(ports);
	return err;
}

static void unhang(struct divert_ports *ports)
{
	if (!ports->hooked)
		return;
	divert_bridge_unhang(ports);
	nf_unregister_net_hooks(ports->net, divert_nf_ops, ARRAY_SIZE(divert_nf_ops));
	ports->hooked = false;
}

/* From now on, until divert_hooks_release(). In a process. */
int divert_hooks_need(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);
	int err;

	mutex_lock(&hooks_lock);
	err = hang(ports);
	if (!err)
		ports->users++;
	mutex_unlock(&hooks_lock);
	return err;
}

void divert_hooks_release(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	mutex_lock(&hooks_lock);
	if (!--ports->users)
		schedule_delayed_work(&ports->unhang, LINGER);
	mutex_unlock(&hooks_lock);
}

static void unhang_unused(struct work_struct *work)
{
	struct divert_ports *ports = container_of(to_delayed_work(work), struct divert_ports,
						  unhang);

	mutex_lock(&hooks_lock);
	if (!is_used(ports))
		unhang(ports);
	mutex_unlock(&hooks_lock);
}

/* bridge.c: something has come or gone there, under RTNL. */
void divert_hooks_bridge(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	mutex_lock(&hooks_lock);
	ports->bridged = true;
	if (ports->hooked) {
		divert_bridge_unhang(ports);
		divert_bridge_hang(ports);
	}
	mutex_unlock(&hooks_lock);
}

static int __net_init divert_hooks_net_init(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);
	int err = 0;

	INIT_DELAYED_WORK(&ports->unhang, unhang_unused);
	mutex_lock(&hooks_lock);
	if (divert_defrag(net))
		err = hang(ports);
	mutex_unlock(&hooks_lock);
	return err;
}

static void __net_exit divert_hooks_net_exit(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	cancel_delayed_work_sync(&ports->unhang);
	mutex_lock(&hooks_lock);
	unhang(ports);
	mutex_unlock(&hooks_lock);
}

static struct pernet_operations divert_hooks_ops = {
	.init	= divert_hooks_net_init,
	.exit	= divert_hooks_net_exit,
};

int __init divert_hooks_init(void)
{
	int err = register_pernet_subsys(&divert_hooks_ops);

	if (err)
		return err;
	err = divert_bridge_init();
	if (err)
		unregister_pernet_subsys(&divert_hooks_ops);
	return err;
}

void divert_hooks_exit(void)
{
	divert_bridge_exit();
	unregister_pernet_subsys(&divert_hooks_ops);
}
