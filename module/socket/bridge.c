// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beside br_netfilter, which calls IP's hooks for all that a bridge hands on:
 *
 *	- The chains are IP's: what is bridged between others does not meet them (C5),
 *	  nor does it meet them twice if it is for this host, or for all.
 *	- For what then comes to IP it spares the hooks of PRE_ROUTING, which have seen
 *	  it in the bridge, with a function that comes before all others. So that the
 *	  input chain is met, ours has to come before that one; whoever comes last
 *	  comes first. Where no bridge is made there is none.
 */
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/notifier.h>
#include <linux/rtnetlink.h>
#include <net/dst.h>

#include "socket.h"

#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)

bool divert_is_bridged(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	const struct nf_bridge_info *bridge;

	if (likely(!nf_bridge_info_exists(skb)))
		return false;
	if (state->hook == NF_INET_PRE_ROUTING) {
		bridge = nf_bridge_info_get(skb);
		return bridge->in_prerouting;
	}
	/* IP's own hooks come behind a route, the bridge's behind none. */
	return !skb_dst(skb) || skb_dst(skb)->flags & DST_FAKE_RTABLE;
}

/* To IP, from a bridge that has called the hooks. */
static unsigned int hook_spared(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	if (likely(!nf_bridge_info_exists(skb)) || divert_is_bridged(skb, state))
		return NF_ACCEPT;
	return divert_hook_in(priv, skb, state);
}

static const struct nf_hook_ops spared = {
	.hook = hook_spared,
	.priv = DIVERT_PLACE_SPARED,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_PRE_ROUTING,
	.priority = NF_IP_PRI_FIRST,
};

/* With the module's other hooks, and again when a bridge or br_netfilter has come. */
void divert_bridge_hang(struct divert_ports *ports)
{
	if (!ports->bridged)
		return;
	ports->spared = !nf_register_net_hook(ports->net, &spared);
	if (!ports->spared)
		pr_err("divert: no memory for the hook; what a bridge has shown to netfilter meets no input chain\n");
}

void divert_bridge_unhang(struct divert_ports *ports)
{
	if (ports->spared)
		nf_unregister_net_hook(ports->net, &spared);
	ports->spared = false;
}

/*
 * br_netfilter is told of the first bridge in a network namespace before this is.
 * Bridges that are there already are told of when this is registered.
 */
static int device_event(struct notifier_block *block, unsigned long event, void *data)
{
	struct net_device *dev = netdev_notifier_info_to_dev(data);

	if (event == NETDEV_REGISTER && netif_is_bridge_master(dev))
		divert_hooks_bridge(dev_net(dev));
	return NOTIFY_DONE;
}

static struct notifier_block device_block = {
	.notifier_call = device_event,
	.priority = INT_MIN,
};

/* Or it comes when there are bridges. */
static int module_event(struct notifier_block *block, unsigned long event, void *data)
{
	const struct module *module = data;
	struct net *net;

	if (event == MODULE_STATE_LIVE && !strcmp(module->name, "br_netfilter")) {
		rtnl_lock();
		down_read(&net_rwsem);
		for_each_net(net)
			if (divert_ports(net)->bridged)
				divert_hooks_bridge(net);
		up_read(&net_rwsem);
		rtnl_unlock();
	}
	return NOTIFY_DONE;
}

static struct notifier_block module_block = {
	.notifier_call = module_event,
};

int __init divert_bridge_init(void)
{
	int err = register_netdevice_notifier(&device_block);

	if (err)
		return err;
	err = register_module_notifier(&module_block);
	if (err)
		unregister_netdevice_notifier(&device_block);
	return err;
}

void divert_bridge_exit(void)
{
	unregister_module_notifier(&module_block);
	unregister_netdevice_notifier(&device_block);
}

#endif /* CONFIG_BRIDGE_NETFILTER */
