// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hooks come where something first uses them: a rule, a policy, a socket, always-
 * defragment. Where nothing has, the module costs nothing. When the last of these has gone
 * they let all pass at once, uncounted. They stay until the network namespace or the module
 * goes: whoever takes a hook away empties netfilter's queues, and loses the packets that other
 * programs have there.
 */
#include <linux/mutex.h>
#include <linux/netfilter_ipv4.h>
#include <net/net_namespace.h>

#include "socket.h"

static const struct nf_hook_ops divert_nf_ops[] = {
	{
		.hook = divert_hook_in,
		.priv = DIVERT_PLACE,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_PRE_ROUTING,
		.priority = NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	},
	{
		.hook = divert_hook_forward,
		.priv = DIVERT_PLACE,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_FORWARD,
		.priority = NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	},
	{
		.hook = divert_hook_out,
		.priv = DIVERT_PLACE,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_LOCAL_OUT,
		.priority = NF_IP_PRI_CONNTRACK_DEFRAG - 10,
	},
	{
		.hook = divert_hook_copy,
		.pf = NFPROTO_IPV4,
		.hooknum = NF_INET_POST_ROUTING,
		.priority = NF_IP_PRI_LAST,
	},
};

static DEFINE_MUTEX(hooks_lock); /* of what is registered, in all network namespaces */

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
	if (!err) {
		ports->users++;
		WRITE_ONCE(ports->used, true);
	}
	mutex_unlock(&hooks_lock);
	return err;
}

void divert_hooks_release(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	mutex_lock(&hooks_lock);
	if (!--ports->users)
		WRITE_ONCE(ports->used, divert_defrag_is_set(net) || fw_in_use(net));
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
	int err;

	if (!divert_defrag_is_set(net))
		return 0;
	err = divert_hooks_need(net);
	if (!err)
		divert_hooks_release(net);
	return err;
}

static void __net_exit divert_hooks_net_exit(struct net *net)
{
	mutex_lock(&hooks_lock);
	unhang(divert_ports(net));
	mutex_unlock(&hooks_lock);
}

static struct pernet_operations divert_hooks_ops = {
	.init = divert_hooks_net_init,
	.exit = divert_hooks_net_exit,
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
