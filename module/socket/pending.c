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

static struct kmem_cache *cache;

struct divert_pending *divert_pending_new(void)
{
	struct divert_pending *p = divert_spare_get();

	if (p)
		memset(p, 0, sizeof(*p));
	else
		p = kmem_cache_zalloc(cache, GFP_ATOMIC | __GFP_NOWARN);
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
	if (!divert_spare_put(p))
		kmem_cache_free(cache, p);
}

/* No program can know it any more. Under the lock. */
void divert_pending_unpublish(struct divert_pending *p)
{
	if (!p->id)
		return;
	hlist_del(&p->by_id);
	p->id = 0;
}

/* Reading. */

/* Its number is wanted for another. What is in no account is still queued, or kept (M8). */
static void withdraw(struct divert_ports *ports, struct divert_pending *old, struct list_head *gone)
{
	if (old->state == PENDING_READ || old->state == PENDING_STUB)
		divert_pending_forget(ports, old, gone);
	else
		divert_pending_unpublish(old);
}

/* From now on a program can know its tag. */
static void publish(struct divert_ports *ports, struct divert_pending *p, struct list_head *gone)
{
	struct divert_pending *old = NULL;

	if (p->id)
		return;
	p->id = ++ports->last_id;
	if (unlikely(p->id > U32_MAX)) /* one of four thousand million packets ago */
		old = divert_ids_find(&ports->ids, p->id);
	if (unlikely(old))
		withdraw(ports, old, gone);
	p->check = divert_cookie_check(ports, p->addr, p->id);
	divert_ids_add(&ports->ids, p);
}

/* It stays in the queue (MSG_PEEK); somebody else may have read it meanwhile. */
void divert_pending_peeked(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p;
	LIST_HEAD(gone);

	memset(sin, 0, sizeof(*sin));
	sin->sin_family = AF_INET;
	spin_lock_bh(&ports->pending_lock);
	p = DIVERT_CB(skb)->pending;
	if (p) {
		publish(ports, p, &gone);
		divert_cookie_write(sin, p);
	}
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_dispose(&gone);
}

/* A program has read this packet, and is told its tag; it is in the account now. */
void divert_pending_read(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p = DIVERT_CB(skb)->pending;
	unsigned int bits;
	LIST_HEAD(gone);

	if (unlikely(!READ_ONCE(ports->most_unconfirmed)))
		WRITE_ONCE(ports->most_unconfirmed, divert_most_unconfirmed());
	skb->destructor = NULL;
	skb->sk = NULL;
	divert_leave_queue(sk, p->charge, skb->len);
	spin_lock_bh(&ports->pending_lock);
	publish(ports, p, &gone);
	divert_cookie_write(sin, p);
	p->state = PENDING_READ;
	p->skb = skb;
	divert_pending_add(ports, p);
	if (divert_is_unconfirmed(skb)) {
		list_add_tail(&p->of_unconfirmed, &ports->unconfirmed);
		ports->unconfirmed_count++;
	}
	if (unlikely(p->stale))
		divert_pending_forget(ports, p, &gone);
	else
		divert_pending_keep_bounds(sk, &gone);
	if (skb_get_nfct(skb))
		divert_pending_watch(ports);
	bits = divert_ids_wanted(&ports->ids, ports->account.packets);
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_dispose(&gone);
	if (unlikely(bits))
		divert_ids_grow(ports, bits);
}

/* One that was queued is freed: nobody has read it, or without its address. */
void divert_pending_unqueued(struct sock *sk, struct sk_buff *skb)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p = DIVERT_CB(skb)->pending;

	divert_leave_queue(sk, p->charge, skb->len);
	spin_lock_bh(&ports->pending_lock);
	divert_uncharge(sk, p->charge);
	divert_pending_unpublish(p);
	DIVERT_CB(skb)->pending = NULL;
	p->state = PENDING_GONE;
	spin_unlock_bh(&ports->pending_lock);
	divert_pending_put(p);
}

/* Giving back. */

/* It had that tag once: of ids with this lower half the last one that there was. */
static bool was_there(const struct divert_ports *ports, const struct divert_cookie *cookie,
		      __be32 addr)
{
	u64 id = (ports->last_id & ~(u64)U32_MAX) | cookie->number;

	if (id > ports->last_id)
		id -= 1ULL << 32;
	return divert_cookie_check(ports, addr, id) == cookie->check;
}

/*
 * The packet that this tag is of, for divert_pending_settle(); NULL if it is no tag; ESTALE if
 * it was one. *skb is the packet, if it is whole and nobody else is giving it back; else NULL:
 * a stub.
 */
struct divert_pending *divert_pending_claim(struct sock *sk, const struct divert_cookie *cookie,
					    __be32 addr, struct sk_buff **skb)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct divert_pending *p;

	*skb = NULL;
	spin_lock_bh(&ports->pending_lock);
	p = divert_ids_find(&ports->ids, cookie->number);
	if (!p || p->check != cookie->check || p->addr != addr) {
		p = was_there(ports, cookie, addr) ? ERR_PTR(-ESTALE) : NULL;
	} else {
		refcount_inc(&p->refs);
		if (p->state == PENDING_READ && !p->claimed) {
			p->claimed = true;
			*skb = p->skb;
			p->skb = NULL;
			DIVERT_CB(*skb)->pending = NULL; /* who peeks need not know */
		}
	}
	spin_unlock_bh(&ports->pending_lock);
	return p;
}

/*
 * The end of a claim, with bottom halves off. skb: it could not be given back, and everything is as
 * before, but that it may have been forgotten meanwhile.
 */
void divert_pending_settle(struct sock *sk, struct divert_pending *p, struct sk_buff *skb,
			   bool claimed)
{
	struct divert_ports *ports = divert_sk(sk)->ports;
	struct sock *owner = NULL, *sender = NULL;
	LIST_HEAD(gone);

	if (claimed) {
		spin_lock(&ports->pending_lock);
		p->claimed = false;
		if (p->state == PENDING_READ && skb) {
			DIVERT_CB(skb)->pending = p;
			p->skb = skb;
			skb = NULL;
		} else if (p->state == PENDING_READ) {
			swap(owner, p->owner);
			swap(sender, p->sender);
			divert_pending_become_stub(ports, p, &gone);
		}
		spin_unlock(&ports->pending_lock);
		release(owner);
		release(sender);
	}
	kfree_skb(skb);
	divert_pending_dispose(&gone);
	divert_pending_put(p);
}

int __init divert_pending_init(void)
{
	int err;

	cache = KMEM_CACHE(divert_pending, 0);
	if (!cache)
		return -ENOMEM;
	err = divert_pending_gone_init();
	if (err)
		kmem_cache_destroy(cache);
	return err;
}

void divert_pending_exit(void)
{
	struct divert_pending *p;

	divert_pending_gone_exit();
	while ((p = divert_spare_any()))
		kmem_cache_free(cache, p);
	kmem_cache_destroy(cache);
}
