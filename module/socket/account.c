// SPDX-License-Identifier: GPL-2.0-only
/*
 * The accounts of what has been read and not given back (S9): of each socket, and of the
 * network namespace. At a bound the oldest is forgotten, stubs before what is whole.
 */
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <net/sock.h>

#include "socket.h"

/* Stubs of one socket: some hundred bytes each, for programs that send a packet twice. */
#define MOST_STUBS 1024

void divert_account_init(struct divert_account *account)
{
	memset(account, 0, sizeof(*account));
	INIT_LIST_HEAD(&account->whole);
	INIT_LIST_HEAD(&account->stubs);
}

static void account_add(struct divert_account *account, struct list_head *node, unsigned int charge)
{
	list_add_tail(node, &account->whole);
	account->packets++;
	account->bytes += charge;
}

static void account_remove(struct divert_account *account, struct list_head *node,
			   const struct divert_pending *p)
{
	list_del_init(node);
	account->packets--;
	account->stub_count -= p->state == PENDING_STUB;
	account->bytes -= p->charge;
}

/* One that has been read. */
void divert_pending_add(struct divert_ports *ports, struct divert_pending *p)
{
	account_add(&divert_sk(p->reader)->account, &p->of_socket, p->charge);
	account_add(&ports->account, &p->of_net, p->charge);
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

/* All but what it was charged. */
static void forget(struct divert_ports *ports, struct divert_pending *p, struct list_head *gone)
{
	remove(ports, p);
	confirmed(ports, p);
	divert_pending_unpublish(p);
	if (p->skb)
		DIVERT_CB(p->skb)->pending = NULL; /* somebody may still peek at it */
	p->state = PENDING_GONE;
	p->reader = NULL;
	if (p->skb || p->owner || p->sender)
		list_add_tail(&p->of_socket, gone);
	else
		divert_pending_put(p);
}

/*
 * Its tag leads nowhere from now on. If more than memory goes with it, it is for
 * divert_pending_dispose(), without the lock.
 */
void divert_pending_forget(struct divert_ports *ports, struct divert_pending *p,
			   struct list_head *gone)
{
	divert_uncharge(p->reader, p->charge);
	forget(ports, p, gone);
}

void divert_pending_dispose(struct list_head *gone)
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
								      &account->stubs,
					struct divert_pending, of_socket);
}

static struct divert_pending *oldest_of_net(struct divert_account *account)
{
	return list_first_entry_or_null(list_empty(&account->stubs) ? &account->whole :
								      &account->stubs,
					struct divert_pending, of_net);
}

/* There is one more. Of this socket and its network namespace. */
void divert_pending_keep_bounds(struct sock *sk, struct list_head *gone)
{
	struct divert_account *account = &divert_sk(sk)->account;
	struct divert_ports *ports = divert_sk(sk)->ports;
	const struct divert_limits *limits = ports->limits;
	unsigned int most;

	while (account->packets && (account->packets > READ_ONCE(limits->packets) ||
				    account->bytes > READ_ONCE(limits->bytes)))
		divert_pending_forget(ports, oldest_of_socket(account), gone);
	while (ports->account.packets && (ports->account.packets > READ_ONCE(limits->net_packets) ||
					  ports->account.bytes > READ_ONCE(limits->net_bytes)))
		divert_pending_forget(ports, oldest_of_net(&ports->account), gone);
	most = READ_ONCE(limits->unconfirmed) ?: READ_ONCE(ports->most_unconfirmed);
	while (ports->unconfirmed_count > most)
		divert_pending_forget(ports,
				      list_first_entry(&ports->unconfirmed, struct divert_pending,
						       of_unconfirmed),
				      gone);
}

/* The queue wants memory: the oldest that its socket has read is forgotten, if there is any. */
bool divert_pending_make_room(struct sock *sk)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p;
	LIST_HEAD(gone);

	spin_lock_bh(&ports->pending_lock);
	p = oldest_of_socket(&divert_sk(sk)->account);
	if (p)
		divert_pending_forget(ports, p, &gone);
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_dispose(&gone);
	return p;
}

static void to_stubs(struct divert_account *account, struct list_head *node, unsigned int freed)
{
	list_move_tail(node, &account->stubs);
	account->stub_count++;
	account->bytes -= freed;
}

/* All but what is left for those who send it once more; the oldest of these goes. */
void divert_pending_become_stub(struct divert_ports *ports, struct divert_pending *p,
				struct list_head *gone)
{
	unsigned int freed = p->charge - sizeof(*p);
	struct sock *sk = p->reader;
	struct divert_account *account = &divert_sk(sk)->account;

	to_stubs(account, &p->of_socket, freed);
	to_stubs(&ports->account, &p->of_net, freed);
	confirmed(ports, p);
	p->charge = sizeof(*p);
	p->state = PENDING_STUB;
	if (account->stub_count > MOST_STUBS) {
		p = oldest_of_socket(account);
		freed += p->charge;
		forget(ports, p, gone);
	}
	divert_uncharge(sk, freed);
}

/* S10: with the socket goes what it has read. */
void divert_pending_sock_exit(struct sock *sk)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_account *account = &divert_sk(sk)->account;
	struct divert_pending *p;
	LIST_HEAD(gone);

	spin_lock_bh(&ports->pending_lock);
	while ((p = oldest_of_socket(account)))
		divert_pending_forget(ports, p, &gone);
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_dispose(&gone);
}
