// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is pending waits for no program: an interface that goes, and connection tracking, take along
 * what needs them.
 */
#include <linux/netdevice.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>

#include "socket.h"

/* How often it is looked whether connection tracking is there still, if something needs it. */
#define LOOK (HZ / 2)

/* Those that are not read yet, of all sockets. */
static void mark_queued(struct divert_ports *ports, divert_needs *needs, int ifindex)
{
	struct divert_sock *ds;
	struct sk_buff *skb;
	int i;

	for (i = 0; i < 1 << DIVERT_HASH_BITS; i++) {
		spin_lock_bh(&ports->lock);
		hlist_for_each_entry(ds, &ports->table[i], node) {
			struct sk_buff_head *queue = &ds->inet.sk.sk_receive_queue;

			spin_lock(&queue->lock);
			skb_queue_walk(queue, skb)
			{
				struct divert_pending *p = DIVERT_CB(skb)->pending;

				if (needs(p, skb, ifindex)) {
					p->stale = true;
					nf_reset_ct(skb);
				}
			}
			spin_unlock(&queue->lock);
		}
		spin_unlock_bh(&ports->lock);
	}
}

static void forget_if(struct divert_ports *ports, divert_needs *needs, int ifindex)
{
	struct divert_pending *p, *next;
	LIST_HEAD(gone);

	mark_queued(ports, needs, ifindex);
	spin_lock_bh(&ports->pending_lock);
	list_for_each_entry_safe(p, next, &ports->account.whole, of_net)
		if (needs(p, p->skb, ifindex))
			divert_pending_forget(ports, p, &gone);
	list_for_each_entry_safe(p, next, &ports->account.stubs, of_net)
		if (needs(p, NULL, ifindex))
			divert_pending_forget(ports, p, &gone);
	divert_kept_forget(ports, needs, ifindex, &gone);
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_dispose(&gone);
}

static bool is_of_device(const struct divert_pending *p, struct sk_buff *skb, int ifindex)
{
	return p->in == ifindex || p->bridge_in == ifindex ||
	       ((p->mroute || p->nf_hook == NF_INET_LOCAL_OUT) && p->out == ifindex);
}

static bool is_tracked(const struct divert_pending *p, struct sk_buff *skb, int ifindex)
{
	return skb && skb_get_nfct(skb);
}

/* Queued or kept, of any socket. */
static bool any_waits(const struct divert_ports *ports)
{
	const struct divert_sock *ds;
	bool any = false;
	int i;

	rcu_read_lock();
	for (i = 0; i < 1 << DIVERT_HASH_BITS; i++)
		hlist_for_each_entry_rcu(ds, &ports->table[i], node)
			any |= atomic_read(&ds->bytes) != 0;
	rcu_read_unlock();
	return any;
}

/*
 * Connection tracking is unloaded when nobody uses it any more, and waits then for all
 * connections, without a word to whoever has one. In a network namespace where its hooks have gone
 * it is of no more use.
 */
static void look_for_conntrack(struct work_struct *work)
{
	struct divert_ports *ports =
		container_of(to_delayed_work(work), struct divert_ports, conntrack);
	const struct divert_pending *p;
	bool needed = false;

	if (!divert_conntrack_is_there(ports->net)) {
		forget_if(ports, is_tracked, 0);
		return;
	}
	spin_lock_bh(&ports->pending_lock);
	list_for_each_entry(p, &ports->account.whole, of_net) {
		needed = p->skb && skb_get_nfct(p->skb);
		if (needed)
			break;
	}
	spin_unlock_bh(&ports->pending_lock);
	if (needed || any_waits(ports))
		schedule_delayed_work(&ports->conntrack, LOOK);
}

/* There is a connection now of which it is looked whether it may still be held. */
void divert_pending_watch(struct divert_ports *ports)
{
	if (!delayed_work_pending(&ports->conntrack))
		schedule_delayed_work(&ports->conntrack, LOOK);
}

void divert_pending_net_init(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	spin_lock_init(&ports->pending_lock);
	divert_ids_init(&ports->ids);
	divert_cookie_init(ports);
	divert_account_init(&ports->account);
	INIT_LIST_HEAD(&ports->unconfirmed);
	INIT_DELAYED_WORK(&ports->conntrack, look_for_conntrack);
}

/* All sockets have gone. */
void divert_pending_net_exit(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	cancel_delayed_work_sync(&ports->conntrack);
	WARN_ON_ONCE(ports->account.packets);
	divert_ids_exit(&ports->ids);
}

static int device_event(struct notifier_block *block, unsigned long event, void *data)
{
	struct net_device *dev = netdev_notifier_info_to_dev(data);

	if (event == NETDEV_UNREGISTER)
		forget_if(divert_ports(dev_net(dev)), is_of_device, dev->ifindex);
	return NOTIFY_DONE;
}

static struct notifier_block device_block = {
	.notifier_call = device_event,
};

int __init divert_pending_gone_init(void)
{
	return register_netdevice_notifier(&device_block);
}

void divert_pending_gone_exit(void)
{
	unregister_netdevice_notifier(&device_block);
}
