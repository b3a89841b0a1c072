// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kept packets (M8): read by the program, and still here until it says what is to
 * become of them. A packet that goes on as it was is not copied again, and one
 * call is enough for many.
 *
 * They stay charged to the socket's queue, so that a program that says nothing
 * takes no more than its buffer; then its queue is full (S9).
 */
#include <linux/netdevice.h>
#include <net/ip.h>
#include <net/sock.h>

#include <linux/divert.h>

#include "socket.h"

/* Bottom halves wait for so many packets at most. */
#define AT_ONCE 64

void divert_kept_init(struct divert_sock *ds)
{
	INIT_LIST_HEAD(&ds->kept);
	ds->keep = 0;
	ds->read = 0;
}

/* It is charged no more. Under the lock. */
static void unkeep(struct sock *sk, struct divert_pending *p, struct list_head *taken)
{
	divert_pending_unpublish(p); /* if it had been peeked at before */
	DIVERT_CB(p->skb)->pending = NULL;
	p->state = PENDING_GONE;
	divert_leave_queue(sk, p->charge, p->skb->len);
	divert_uncharge(sk, p->charge);
	list_move_tail(&p->of_socket, taken);
}

/* A program has read this packet. The address says now which one it is. */
void divert_keep(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin)
{
	struct divert_pending *p = DIVERT_CB(skb)->pending;
	struct divert_sock *ds = divert_sk(sk);
	struct divert_ports *ports = ds->ports;
	LIST_HEAD(gone);

	skb->destructor = NULL;
	skb->sk = NULL;
	spin_lock_bh(&ports->pending_lock);
	p->number = ds->read;
	WRITE_ONCE(ds->read, ds->read + 1);
	p->state = PENDING_KEPT;
	p->skb = skb;
	list_add_tail(&p->of_socket, &ds->kept);
	/* Without the lock another thread can settle it, and it is gone. */
	divert_cookie_write_kept(ports, sin, p->addr, p->number);
	if (unlikely(p->stale))
		unkeep(sk, p, &gone);
	else if (skb_get_nfct(skb))
		divert_pending_watch(ports);
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_dispose(&gone);
}

void divert_kept_exit(struct sock *sk)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p, *next;
	LIST_HEAD(taken);

	spin_lock_bh(&ports->pending_lock);
	list_for_each_entry_safe(p, next, &divert_sk(sk)->kept, of_socket)
		unkeep(sk, p, &taken);
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_dispose(&taken);
}

/* Of all sockets those that need what has gone. Under the lock; `gone` is for who has it. */
void divert_kept_forget(struct divert_ports *ports, divert_needs *needs, int ifindex,
			struct list_head *gone)
{
	struct divert_pending *p, *next;
	struct divert_sock *ds;
	int i;

	spin_lock(&ports->lock);
	for (i = 0; i < 1 << DIVERT_HASH_BITS; i++)
		hlist_for_each_entry(ds, &ports->table[i], node)
			list_for_each_entry_safe(p, next, &ds->kept, of_socket)
				if (needs(p, p->skb, ifindex))
					unkeep(&ds->inet.sk, p, gone);
	spin_unlock(&ports->lock);
}

static bool is_before(u32 number, u32 other)
{
	return (s32)(number - other) < 0;
}

/*
 * The oldest of these, no longer kept; returns how many, which are AT_ONCE at most.
 * Programs answer in the order in which they read, so they are the first.
 */
static unsigned int take_oldest(struct sock *sk, u32 first, u32 last, struct list_head *taken)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p, *next;
	unsigned int count = 0;

	spin_lock_bh(&ports->pending_lock);
	list_for_each_entry_safe(p, next, &divert_sk(sk)->kept, of_socket) {
		if (is_before(p->number, first))
			continue;
		if (count == AT_ONCE || is_before(last, p->number))
			break;
		unkeep(sk, p, taken);
		count++;
	}
	spin_unlock_bh(&ports->pending_lock);
	return count;
}

/* The kept packet, to be put, and a reference to its skb, to be freed; NULL: there is none. */
static struct divert_pending *find(struct sock *sk, u32 number, struct sk_buff **skb)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p, *found = NULL;

	spin_lock_bh(&ports->pending_lock);
	list_for_each_entry(p, &divert_sk(sk)->kept, of_socket) {
		if (p->number != number)
			continue;
		refcount_inc(&p->refs);
		*skb = skb_get(p->skb);
		found = p;
		break;
	}
	spin_unlock_bh(&ports->pending_lock);
	return found;
}

/* Consumes it. */
static int give_back(struct sock *sk, const struct divert_pending *p, struct sk_buff *skb)
{
	struct sk_buff *own = divert_packet_own(skb, GFP_ATOMIC);
	int err = own ? divert_packet_renew(sk, own) : -ENOBUFS;

	if (err) {
		kfree_skb(own ?: skb);
		return err;
	}
	err = divert_inject_again(sk, own, p, DIVERT_AS_TAKEN);
	if (!err)
		atomic_inc(&divert_sk(sk)->injected);
	return err;
}

/* Of all of them, the first error that there is. Each is tried. */
static int give_all_back(struct sock *sk, struct list_head *taken)
{
	struct divert_pending *p, *next;
	int err, first_err = 0;

	local_bh_disable();
	rcu_read_lock();
	list_for_each_entry_safe(p, next, taken, of_socket) {
		list_del_init(&p->of_socket);
		err = give_back(sk, p, p->skb);
		if (err && !first_err)
			first_err = err;
		p->skb = NULL;
		divert_pending_put(p);
	}
	rcu_read_unlock();
	local_bh_enable();
	return first_err;
}

/* All of them are dealt with. Returns the first error there was; -ENOENT if there are none. */
int divert_settle_kept(struct sock *sk, const struct divert_verdict *verdict)
{
	int err, first_err = 0;
	bool any = false;
	unsigned int count;
	LIST_HEAD(taken);

	for (;;) {
		count = take_oldest(sk, verdict->first, verdict->last, &taken);
		any |= count;
		err = 0;
		if (verdict->verdict == DIVERT_DROP)
			divert_pending_dispose(&taken);
		else if (count)
			err = give_all_back(sk, &taken);
		if (!first_err)
			first_err = err;
		if (count < AT_ONCE)
			return any ? first_err : -ENOENT;
		cond_resched();
	}
}

/* A program reads on: what it has said nothing of goes on. */
void divert_read_on(struct sock *sk)
{
	u32 next = READ_ONCE(divert_sk(sk)->read);
	struct divert_verdict verdict = {
		.verdict = DIVERT_ACCEPT,
		.first = next - S32_MAX,
		.last = next - 1,
	};

	if (!list_empty(&divert_sk(sk)->kept))
		divert_settle_kept(sk, &verdict);
}

/*
 * sendto() with the address of a kept packet: without data it goes on as it was,
 * with data the new one goes on in its place; after an error it is still kept.
 */
int divert_send_kept(struct sock *sk, struct msghdr *msg, size_t len, u32 number)
{
	struct divert_verdict verdict = {
		.verdict = DIVERT_ACCEPT,
		.first = number,
		.last = number,
	};
	struct sk_buff *kept, *skb;
	struct divert_pending *p;
	LIST_HEAD(replaced);
	int err;

	if (!len)
		return divert_settle_kept(sk, &verdict);
	if (len < sizeof(struct iphdr))
		return -EINVAL;
	if (len > DIVERT_MAX_PACKET)
		return -EMSGSIZE;
	p = find(sk, number, &kept);
	if (!p)
		return -ENOENT;
	skb = skb_copy_expand(kept, DIVERT_HEADROOM, 0, sk->sk_allocation);
	kfree_skb(kept);
	err = skb ? divert_packet_replace(sk, skb, msg, len) : -ENOBUFS;
	if (!err) {
		local_bh_disable();
		rcu_read_lock();
		err = divert_inject_again(sk, skb, p, DIVERT_REPLACED);
		rcu_read_unlock();
		local_bh_enable();
	}
	if (err) {
		kfree_skb(skb);
	} else {
		take_oldest(sk, number, number, &replaced);
		divert_pending_dispose(&replaced);
		atomic_inc(&divert_sk(sk)->injected);
	}
	divert_pending_put(p);
	return err ?: len;
}
