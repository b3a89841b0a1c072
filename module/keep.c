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
#define AT_ONCE	64

void divert_kept_init(struct divert_sock *ds)
{
	skb_queue_head_init(&ds->kept);
	ds->keep = 0;
	ds->read = 0;
}

void divert_kept_exit(struct divert_sock *ds)
{
	skb_queue_purge(&ds->kept);
}

/* A program has read this packet. The address says now which one it is. */
void divert_keep(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin)
{
	struct divert_sock *ds = divert_sk(sk);
	struct divert_tag tag = { .what = DIVERT_TAG_KEPT };
	u32 number;

	spin_lock(&ds->kept.lock);
	number = ds->read++;
	DIVERT_CB(skb)->number = number;
	__skb_queue_tail(&ds->kept, skb);
	spin_unlock(&ds->kept.lock);
	tag.ifindex = number >> 24;
	tag.rule = number & 0xffffff;
	divert_tag_write(sin, &tag, NULL);
}

static bool is_before(u32 number, u32 other)
{
	return (s32)(number - other) < 0;
}

/*
 * The oldest of these, no longer kept; returns how many, which are AT_ONCE at most.
 * Programs answer in the order in which they read, so they are the first.
 */
static unsigned int take_oldest(struct divert_sock *ds, u32 first, u32 last,
				struct sk_buff_head *taken)
{
	struct sk_buff *skb, *next;
	unsigned int count = 0;

	__skb_queue_head_init(taken);
	spin_lock(&ds->kept.lock);
	skb_queue_walk_safe(&ds->kept, skb, next) {
		if (is_before(DIVERT_CB(skb)->number, first))
			continue;
		if (count == AT_ONCE || is_before(last, DIVERT_CB(skb)->number))
			break;
		__skb_unlink(skb, &ds->kept);
		__skb_queue_tail(taken, skb);
		count++;
	}
	spin_unlock(&ds->kept.lock);
	if (count)
		divert_uncharge(ds, taken);
	return count;
}

/* Where it was taken; false if it is not kept. */
static bool tag_of(struct divert_sock *ds, u32 number, struct divert_tag *tag, __be32 *addr)
{
	struct sk_buff *skb;
	bool found = false;

	spin_lock(&ds->kept.lock);
	skb_queue_walk(&ds->kept, skb) {
		if (DIVERT_CB(skb)->number != number)
			continue;
		found = divert_tag_read(&DIVERT_CB(skb)->sin, tag);
		tag->known = true;
		*addr = DIVERT_CB(skb)->sin.sin_addr.s_addr;
		break;
	}
	spin_unlock(&ds->kept.lock);
	return found;
}

/* Bottom halves are off. Another reader may still look at the packet (MSG_PEEK). */
static int give_back(struct sock *sk, struct sk_buff *skb)
{
	struct divert_tag tag;
	struct sk_buff *copy;
	int err;

	if (!divert_tag_read(&DIVERT_CB(skb)->sin, &tag)) {
		kfree_skb(skb);
		return -EINVAL;
	}
	if (skb_shared(skb) || skb_cloned(skb)) {
		copy = skb_copy(skb, GFP_ATOMIC | __GFP_NOWARN);
		kfree_skb(skb);
		if (!copy)
			return -ENOBUFS;
		skb = copy;
	}
	err = divert_inject_kept(sk, skb, &tag);
	if (!err)
		atomic_inc(&divert_sk(sk)->injected);
	return err;
}

/* Of all of them, the first error that there is. Each is tried. */
static int give_all_back(struct sock *sk, struct sk_buff_head *taken)
{
	int err, first_err = 0;
	struct sk_buff *skb;

	local_bh_disable();
	rcu_read_lock();
	while ((skb = __skb_dequeue(taken))) {
		err = give_back(sk, skb);
		if (err && !first_err)
			first_err = err;
	}
	rcu_read_unlock();
	local_bh_enable();
	return first_err;
}

/* All of them are dealt with. Returns the first error there was; -ENOENT if there are none. */
static int settle(struct sock *sk, const struct divert_verdict *verdict)
{
	struct sk_buff_head taken;
	int err, first_err = 0;
	bool any = false;
	unsigned int count;

	for (;;) {
		count = take_oldest(divert_sk(sk), verdict->first, verdict->last, &taken);
		any |= count;
		err = 0;
		if (verdict->verdict == DIVERT_DROP)
			__skb_queue_purge(&taken);
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
		.verdict = DIVERT_ACCEPT, .first = next - S32_MAX, .last = next - 1,
	};

	if (!skb_queue_empty_lockless(&divert_sk(sk)->kept))
		settle(sk, &verdict);
}

/*
 * sendto() with the address of a kept packet: without data it goes on as it was,
 * with data the new one goes on in its place; after an error it is still kept.
 */
int divert_send_kept(struct sock *sk, struct msghdr *msg, size_t len, u32 number)
{
	struct divert_verdict verdict = {
		.verdict = DIVERT_ACCEPT, .first = number, .last = number,
	};
	struct sk_buff_head replaced;
	struct divert_tag tag;
	__be32 addr;
	int err;

	if (!len)
		return settle(sk, &verdict);
	if (len < sizeof(struct iphdr))
		return -EINVAL;
	if (len > DIVERT_MAX_PACKET)
		return -EMSGSIZE;
	if (!tag_of(divert_sk(sk), number, &tag, &addr))
		return -ENOENT;
	err = divert_inject(sk, msg, len, addr, &tag);
	if (err)
		return err;
	take_oldest(divert_sk(sk), number, number, &replaced);
	consume_skb(__skb_dequeue(&replaced));
	atomic_inc(&divert_sk(sk)->injected);
	return len;
}

static int set_keep(struct divert_sock *ds, sockptr_t value, unsigned int len)
{
	int keep;

	if (len < sizeof(keep))
		return -EINVAL;
	if (copy_from_sockptr(&keep, value, sizeof(keep)))
		return -EFAULT;
	if (keep < 0 || keep > DIVERT_READ)
		return -EINVAL;
	WRITE_ONCE(ds->keep, keep);
	if (!keep)
		skb_queue_purge(&ds->kept);
	return 0;
}

static int set_verdict(struct sock *sk, sockptr_t value, unsigned int len)
{
	struct divert_verdict verdict;

	if (len != sizeof(verdict))
		return -EINVAL;
	if (copy_from_sockptr(&verdict, value, sizeof(verdict)))
		return -EFAULT;
	if (verdict.verdict > DIVERT_ACCEPT || is_before(verdict.last, verdict.first))
		return -EINVAL;
	return settle(sk, &verdict);
}

int divert_setsockopt(struct sock *sk, int level, int name, sockptr_t value,
		      unsigned int len)
{
	if (level != SOL_DIVERT)
		return ip_setsockopt(sk, level, name, value, len);
	switch (name) {
	case DIVERT_KEEP:
		return set_keep(divert_sk(sk), value, len);
	case DIVERT_VERDICT:
		return set_verdict(sk, value, len);
	}
	return -ENOPROTOOPT;
}

int divert_getsockopt(struct sock *sk, int level, int name, char __user *value,
		      int __user *len)
{
	int room, keep = READ_ONCE(divert_sk(sk)->keep);

	if (level != SOL_DIVERT)
		return ip_getsockopt(sk, level, name, value, len);
	if (name != DIVERT_KEEP)
		return -ENOPROTOOPT;
	if (get_user(room, len))
		return -EFAULT;
	if (room < (int)sizeof(keep))
		return -EINVAL;
	if (put_user((int)sizeof(keep), len) || put_user(keep, (int __user *)value))
		return -EFAULT;
	return 0;
}
