// SPDX-License-Identifier: GPL-2.0-only
/*
 * Divert sockets for a kernel of today, with the interface that they had for
 * Linux 2.2: the module, its parameters, and its state in each network
 * namespace.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "rules/rules.h"

/* What a build asks for (make PASSTHROUGH=1 DEFRAG=1). */
#ifndef DIVERT_PASSTHROUGH
#define DIVERT_PASSTHROUGH 0
#endif
#ifndef DIVERT_DEFRAG
#define DIVERT_DEFRAG 0
#endif

static bool passthrough = DIVERT_PASSTHROUGH;
module_param(passthrough, bool, 0644);
MODULE_PARM_DESC(
	passthrough,
	"What nobody listens for goes on to the next rule (of new network namespaces; see net.ipv4.divert.passthrough)");

static bool defrag = DIVERT_DEFRAG;
module_param(defrag, bool, 0644);
MODULE_PARM_DESC(
	defrag,
	"Always defragment: sockets and rules see whole datagrams (of new network namespaces; see net.ipv4.divert.defrag)");

static bool userns;
module_param(userns, bool, 0444);
MODULE_PARM_DESC(
	userns,
	"Network namespaces of user namespaces other than the first have divert sockets and chains, too (net.ipv4.divert.userns changes it)");

static unsigned int divert_net_id __read_mostly;

struct divert_net *divert_net(const struct net *net)
{
	return net_generic(net, divert_net_id);
}

struct fw_table *fw_table(const struct net *net)
{
	return &divert_net(net)->table;
}

const struct divert_limits *divert_limits(const struct net *net)
{
	return &divert_net(net)->limits;
}

bool divert_passthrough(const struct net *net)
{
	return READ_ONCE(divert_net(net)->passthrough);
}

/* Whoever may have it. */
bool divert_defrag_is_set(const struct net *net)
{
	return READ_ONCE(divert_net(net)->defrag);
}

bool divert_defrag(const struct net *net)
{
	return divert_defrag_is_set(net) && divert_admits(net);
}

/* Some queues of programs that look at packets for a while: docs say how to have more. */
static const struct divert_limits default_limits = {
	.packets = 16384,
	.bytes = 32 << 20,
	.net_packets = 65536,
	.net_bytes = 128 << 20,
};

static int __net_init divert_main_net_init(struct net *net)
{
	struct divert_net *dn = divert_net(net);
	int err;

	dn->passthrough = READ_ONCE(passthrough);
	dn->defrag = READ_ONCE(defrag);
	dn->net = net;
	dn->limits = default_limits;
	fw_log_init(dn);
	err = fw_table_init(&dn->table);
	if (err)
		return err;
	err = fw_netlink_init(net);
	if (err)
		fw_table_exit(&dn->table);
	return err;
}

static void __net_exit divert_main_net_exit(struct net *net)
{
	struct divert_net *dn = divert_net(net);

	fw_netlink_exit(net);
	fw_table_exit(&dn->table);
}

static struct pernet_operations divert_main_net_ops = {
	.init = divert_main_net_init,
	.exit = divert_main_net_exit,
	.id = &divert_net_id,
	.size = sizeof(struct divert_net),
};

/*
 * The chains come before the sockets, whose options are read from the first
 * call on, then the hooks, when everything that a packet meets is there, and last the
 * files, which show all of it.
 */
static int __init divert_init(void)
{
	int err;

	err = register_pernet_subsys(&divert_main_net_ops);
	if (err)
		goto no_net;
	divert_userns = userns;
	err = fw_sockopt_init();
	if (err)
		goto no_sockopt;
	err = divert_sock_init();
	if (err)
		goto no_sock;
	err = divert_hooks_init();
	if (err)
		goto no_hooks;
	err = divert_files_init();
	if (err)
		goto no_files;
	return 0;

no_files:
	divert_hooks_exit();
no_hooks:
	divert_sock_exit();
no_sock:
	fw_sockopt_exit();
no_sockopt:
	unregister_pernet_subsys(&divert_main_net_ops);
no_net:
	rcu_barrier();
	return err;
}

static void __exit divert_exit(void)
{
	divert_files_exit();
	divert_hooks_exit();
	divert_sock_exit();
	fw_sockopt_exit();
	unregister_pernet_subsys(&divert_main_net_ops);
	rcu_barrier(); /* rules and chains free themselves */
}

module_init(divert_init);
module_exit(divert_exit);

MODULE_DESCRIPTION("Divert sockets, and the firewall of Linux 2.2 that fills them");
MODULE_LICENSE("GPL");
