// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has been read and not given back (S9, S10, I2, I6). As nf_queue does, the kernel keeps
 * the packet, with all that it knew of it, and finds it again by the tag.
 *
 * A program that only looks and drops never says so. So what it has read is in an account of
 * its own, bounded for each socket and each network namespace; at the bound the oldest is
 * forgotten, stubs before what is whole. What was forgotten is ESTALE on sending. Nothing
 * waits for a program: its interface, connection tracking and the network namespace take along
 * what needs them.
 *
 * All of this is under the pending_lock of the network namespace, which comes before that of a
 * queue. What is to be freed is collected under it, and freed without.
 */
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>

#include "socket.h"

/* Stubs of one socket: some hundred bytes each, for programs that send a packet twice. */
#define MOST_STUBS	1024

/* How often it is looked whether connection tracking is there still, if something needs it. */
#define LOOK		(HZ / 2)

static struct kmem_cache *cache;

struct divert_pending *divert_pending_new(void)
{
	struct divert_pending *p = kmem_cache_zalloc(cache, GFP_ATOMIC | __GFP_NOWARN);

	if (!p)
		return NULL;
	INIT_LIST_HEAD(&p->of_socket);
	INIT_LIST_HEAD(&p->of_net);
	INIT_LIST_HEAD(&p->of_unconfirmed);
	refcount_set(&p->refs, 1);
	return p;
}

/* Who has sent it may have gone meanwhile, but for this. */
static void release(struct sock *sk)
{
	if (sk)
		sock_gen_put(sk);
}

void divert_pending_put(struct divert_pending *p)
{
	if (!refcount_dec_and_test(&p->refs))
		return;
	release(p->owner);
	release(p->sender);
	kmem_cache_free(cache, p);
}

/* The accounts. */

static void account_init(struct divert_account *account)
{
	memset(account, 0, sizeof(*account));
	INIT_LIST_HEAD(&account->whole);
	INIT_LIST_HEAD(&account->stubs);
}

static void account_add(struct divert_account *account, struct list_head *node,
			const struct divert_pending *p)
{
	bool stub = p->state == PENDING_STUB;

	list_add_tail(node, stub ? &account->stubs : &account->whole);
	account->packets++;
	account->stub_count += stub;
	account->bytes += p->charge;
}

static void account_remove(struct divert_account *account, struct list_head *node,
			   const struct divert_pending *p)
{
	list_del_init(node);
	account->packets--;
	account->stub_count -= p->state == PENDING_STUB;
	account->bytes -= p->charge;
}

static void add(struct divert_ports *ports, struct divert_pending *p)
{
	account_add(&divert_sk(p->reader)->account, &p->of_socket, p);
	account_add(&ports->account, &p->of_net, p);
}

static void remove(struct divert_ports *ports, struct divert_pending *p)
{
	account_remove(&divert_sk(p->reader)->account, &p->of_socket, p);
	account_remove(&ports->account, &p->of_net, p);
}

static void confirmed(struct divert_ports *ports, struct divert_pending *p)
{
	if (list_empty(&p->of_unconfirmed))
		return;
	list_del_init(&p->of_unconfirmed);
	ports->unconfirmed_count--;
}

/* Its tag leads nowhere from now on. It is for dispose(), without the lock. */
static void forget(struct divert_ports *ports, struct divert_pending *p, struct list_head *gone)
{
	remove(ports, p);
	confirmed(ports, p);
	xa_erase(&ports->pending, (u32)p->id);
	divert_uncharge(p->reader, p->charge);
	if (p->skb)
		DIVERT_CB(p->skb)->pending = NULL;	/* somebody may still peek at it */
	p->state = PENDING_GONE;
	p->reader = NULL;
	list_add_tail(&p->of_socket, gone);
}

static void dispose(struct list_head *gone)
{
	struct divert_pending *p, *next;

	list_for_each_entry_safe(p, next, gone, of_socket) {
		list_del_init(&p->of_socket);
		kfree_skb(p->skb);
		p->skb = NULL;
		divert_pending_put(p);
	}
}

static struct divert_pending *oldest_of_socket(struct divert_account *account)
{
	return list_first_entry_or_null(list_empty(&account->stubs) ? &account->whole :
					&account->stubs, struct divert_pending, of_socket);
}

static struct divert_pending *oldest_of_net(struct divert_account *account)
{
	return list_first_entry_or_null(list_empty(&account->stubs) ? &account->whole :
					&account->stubs, struct divert_pending, of_net);
}

static void keep_bounds(struct net *net, struct divert_sock *ds, struct list_head *gone)
{
	struct divert_ports *ports = divert_ports(net);
	const struct divert_limits *limits = divert_limits(net);
	unsigned int most;

	while (ds->account.stub_count > MOST_STUBS ||
	       (ds->account.packets && (ds->account.packets > READ_ONCE(limits->packets) ||
					ds->account.bytes > READ_ONCE(limits->bytes))))
		forget(ports, oldest_of_socket(&ds->account), gone);
	while (ports->account.packets &&
	       (ports->account.packets > READ_ONCE(limits->net_packets) ||
		ports->account.bytes > READ_ONCE(limits->net_bytes)))
		forget(ports, oldest_of_net(&ports->account), gone);
	most = READ_ONCE(limits->unconfirmed) ?: ports->most_unconfirmed;
	while (ports->unconfirmed_count > most)
		forget(ports, list_first_entry(&ports->unconfirmed, struct divert_pending,
					       of_unconfirmed), gone);
}

/* The queue wants memory: the oldest that its socket has read is forgotten, if there is any. */
bool divert_pending_make_room(struct sock *sk)
{
	struct divert_ports *ports = divert_ports(sock_net(sk));
	struct divert_pending *p;
	LIST_HEAD(gone);

	spin_lock_bh(&ports->pending_lock);
	p = oldest_of_socket(&divert_sk(sk)->account);
	if (p)
		forget(ports, p, &gone);
	spin_unlock_bh(&ports->pending_lock);
	dispose(&gone);
	return p;
}

/* Reading. */

/* From now on a program can know its tag. False: there is no memory to find it by. */
static bool publish(struct divert_ports *ports, struct divert_pending *p, struct list_head *gone)
{
	struct divert_pending *old;

	if (p->id)
		return true;
	p->id = ++ports->last_id;
	old = xa_load(&ports->pending, (u32)p->id);
	if (unlikely(old))			/* of four thousand million packets ago */
		forget(ports, old, gone);
	return !xa_is_err(xa_store(&ports->pending, (u32)p->id, p,
				   GFP_ATOMIC | __GFP_NOWARN));
}

static void write_address(const struct net *net, const struct divert_pending *p,
			  struct sockaddr_in *sin)
{
	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = p->addr;
	divert_cookie_write(net, sin, p->id);
}

/* It stays in the queue (MSG_PEEK); somebody else may have read it meanwhile. */
void divert_pending_peeked(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin)
{
	struct divert_ports *ports = divert_ports(sock_net(sk));
	struct divert_pending *p;
	LIST_HEAD(gone);

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	spin_lock_bh(&ports->pending_lock);
	p = DIVERT_CB(skb)->pending;
	if (p) {
		publish(ports, p, &gone);
		write_address(sock_net(sk), p, sin);
	}
	spin_unlock_bh(&ports->pending_lock);
	dispose(&gone);
}

/* From now on it is looked whether its connection may still be held. */
void divert_pending_watch(struct divert_ports *ports, const struct sk_buff *skb)
{
	if (skb_get_nfct(skb) && !delayed_work_pending(&ports->conntrack))
		schedule_delayed_work(&ports->conntrack, LOOK);
}

/* A program has read this packet, and is told its tag; it is in the account now. */
void divert_pending_read(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin)
{
	struct divert_ports *ports = divert_ports(sock_net(sk));
	struct divert_pending *p = DIVERT_CB(skb)->pending;
	LIST_HEAD(gone);
	bool known;

	if (unlikely(!READ_ONCE(ports->most_unconfirmed)))
		WRITE_ONCE(ports->most_unconfirmed, divert_most_unconfirmed());
	skb->destructor = NULL;
	skb->sk = NULL;
	divert_leave_queue(sk, p->charge, skb->len);
	spin_lock_bh(&ports->pending_lock);
	known = publish(ports, p, &gone);
	write_address(sock_net(sk), p, sin);
	p->state = PENDING_READ;
	p->skb = skb;
	add(ports, p);
	if (divert_is_unconfirmed(skb)) {
		list_add_tail(&p->of_unconfirmed, &ports->unconfirmed);
		ports->unconfirmed_count++;
	}
	if (unlikely(!known || p->stale))
		forget(ports, p, &gone);
	else
		keep_bounds(sock_net(sk), divert_sk(sk), &gone);
	divert_pending_watch(ports, skb);
	spin_unlock_bh(&ports->pending_lock);
	dispose(&gone);
}

/* One that was queued is freed: nobody has read it, or without its address. */
void divert_pending_unqueued(struct sock *sk, struct sk_buff *skb)
{
	struct divert_ports *ports = divert_ports(sock_net(sk));
	struct divert_pending *p = DIVERT_CB(skb)->pending;

	divert_leave_queue(sk, p->charge, skb->len);
	divert_uncharge(sk, p->charge);
	spin_lock_bh(&ports->pending_lock);
	if (p->id)
		xa_erase(&ports->pending, (u32)p->id);
	DIVERT_CB(skb)->pending = NULL;
	p->state = PENDING_GONE;
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_put(p);
}

/* Giving back. */

/* It had that tag once: of ids with this lower half the last one that there was. */
static bool was_there(const struct net *net, const struct divert_ports *ports,
		      const struct divert_cookie *cookie, __be32 addr)
{
	u64 id = (ports->last_id & ~(u64)U32_MAX) | cookie->number;

	if (id > ports->last_id)
		id -= 1ULL << 32;
	return divert_cookie_is(net, cookie, addr, id);
}

/*
 * The packet that this tag is of, for divert_pending_settle(); NULL if it is no tag; ESTALE if
 * it was one. *skb is the packet, if it is whole and nobody else is giving it back; else NULL:
 * a stub.
 */
struct divert_pending *divert_pending_claim(struct sock *sk, const struct divert_cookie *cookie,
					    __be32 addr, struct sk_buff **skb)
{
	struct net *net = sock_net(sk);
	struct divert_ports *ports = divert_ports(net);
	struct divert_pending *p;

	*skb = NULL;
	spin_lock_bh(&ports->pending_lock);
	p = xa_load(&ports->pending, cookie->number);
	if (!p || !divert_cookie_is(net, cookie, addr, p->id)) {
		p = was_there(net, ports, cookie, addr) ? ERR_PTR(-ESTALE) : NULL;
	} else {
		refcount_inc(&p->refs);
		if (p->state == PENDING_READ && !p->claimed) {
			p->claimed = true;
			*skb = p->skb;
			p->skb = NULL;
			DIVERT_CB(*skb)->pending = NULL;	/* who peeks need not know */
		}
	}
	spin_unlock_bh(&ports->pending_lock);
	return p;
}

static void become_stub(struct divert_ports *ports, struct divert_pending *p)
{
	remove(ports, p);
	confirmed(ports, p);
	divert_uncharge(p->reader, p->charge - sizeof(*p));
	p->charge = sizeof(*p);
	p->state = PENDING_STUB;
	add(ports, p);
}

/*
 * The end of a claim. skb: it could not be given back, and everything is as before, but that it may
 * have been forgotten meanwhile.
 */
void divert_pending_settle(struct sock *sk, struct divert_pending *p, struct sk_buff *skb,
			   bool claimed)
{
	struct divert_ports *ports = divert_ports(sock_net(sk));
	struct sock *owner = NULL, *sender = NULL;
	LIST_HEAD(gone);

	if (claimed) {
		spin_lock_bh(&ports->pending_lock);
		p->claimed = false;
		if (p->state == PENDING_READ && skb) {
			DIVERT_CB(skb)->pending = p;
			p->skb = skb;
			skb = NULL;
		} else if (p->state == PENDING_READ) {
			swap(owner, p->owner);
			swap(sender, p->sender);
			become_stub(ports, p);
			keep_bounds(sock_net(sk), divert_sk(p->reader), &gone);
		}
		spin_unlock_bh(&ports->pending_lock);
		release(owner);
		release(sender);
	}
	kfree_skb(skb);
	dispose(&gone);
	divert_pending_put(p);
}

/* What goes takes along what needs it. */

/* Those that are not read yet, of all sockets. */
static void mark_queued(struct divert_ports *ports,
			bool (*needs)(const struct divert_pending *p, struct sk_buff *skb,
				      int ifindex), int ifindex)
{
	struct divert_sock *ds;
	struct sk_buff *skb;
	int i;

	for (i = 0; i < 1 << DIVERT_HASH_BITS; i++) {
		spin_lock_bh(&ports->lock);
		hlist_for_each_entry(ds, &ports->table[i], node) {
			struct sk_buff_head *queue = &ds->inet.sk.sk_receive_queue;

			spin_lock(&queue->lock);
			skb_queue_walk(queue, skb) {
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

static void forget_if(struct divert_ports *ports,
		      bool (*needs)(const struct divert_pending *p, struct sk_buff *skb,
				    int ifindex), int ifindex)
{
	struct divert_pending *p, *next;
	LIST_HEAD(gone);

	mark_queued(ports, needs, ifindex);
	spin_lock_bh(&ports->pending_lock);
	list_for_each_entry_safe(p, next, &ports->account.whole, of_net)
		if (needs(p, p->skb, ifindex))
			forget(ports, p, &gone);
	list_for_each_entry_safe(p, next, &ports->account.stubs, of_net)
		if (needs(p, NULL, ifindex))
			forget(ports, p, &gone);
	divert_kept_forget(ports, needs, ifindex, &gone);
	spin_unlock_bh(&ports->pending_lock);
	dispose(&gone);
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

/*
 * Connection tracking is unloaded when nobody uses it any more, and waits then for all
 * connections, without a word to whoever has one. In a network namespace where its hooks have gone
 * it is of no more use.
 */
static void look_for_conntrack(struct work_struct *work)
{
	struct divert_ports *ports = container_of(to_delayed_work(work), struct divert_ports,
						  conntrack);
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
	if (needed || READ_ONCE(ports->kept_count))
		schedule_delayed_work(&ports->conntrack, LOOK);
}

/* S10: with the socket goes what it has read. */
void divert_pending_sock_exit(struct sock *sk)
{
	struct divert_ports *ports = divert_ports(sock_net(sk));
	struct divert_account *account = &divert_sk(sk)->account;
	struct divert_pending *p;
	LIST_HEAD(gone);

	spin_lock_bh(&ports->pending_lock);
	while ((p = oldest_of_socket(account)))
		forget(ports, p, &gone);
	spin_unlock_bh(&ports->pending_lock);
	dispose(&gone);
}

void divert_pending_sock_init(struct divert_sock *ds)
{
	account_init(&ds->account);
}

void divert_pending_net_init(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	ports->net = net;
	spin_lock_init(&ports->pending_lock);
	xa_init_flags(&ports->pending, XA_FLAGS_ACCOUNT);	/* to who reads */
	account_init(&ports->account);
	INIT_LIST_HEAD(&ports->unconfirmed);
	INIT_DELAYED_WORK(&ports->conntrack, look_for_conntrack);
}

/* All sockets have gone. */
void divert_pending_net_exit(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);

	cancel_delayed_work_sync(&ports->conntrack);
	WARN_ON_ONCE(ports->account.packets);
	xa_destroy(&ports->pending);
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

int __init divert_pending_init(void)
{
	int err;

	cache = KMEM_CACHE(divert_pending, 0);
	if (!cache)
		return -ENOMEM;
	err = register_netdevice_notifier(&device_block);
	if (err)
		kmem_cache_destroy(cache);
	return err;
}

void divert_pending_exit(void)
{
	unregister_netdevice_notifier(&device_block);
	kmem_cache_destroy(cache);
}
