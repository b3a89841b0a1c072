// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket: its protocol, its port, its calls.
 */
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/percpu.h>
#include <linux/sockios.h>
#include <linux/swap.h>
#include <linux/uio.h>
#include <net/inet_common.h>
#include <net/ip.h>
#include <net/sock.h>

#include <asm/ioctls.h>

#include <linux/divert.h>

#include "socket.h"

/* The table of ports. */

static struct hlist_head *port_bucket(struct divert_ports *ports, u16 port)
{
	return &ports->table[port & ((1 << DIVERT_HASH_BITS) - 1)];
}

/* Called under RCU, or with the table's lock held. */
struct sock *divert_listener(struct divert_ports *ports, u16 port)
{
	struct divert_sock *ds;

	hlist_for_each_entry_rcu(ds, port_bucket(ports, port), node, lockdep_is_held(&ports->lock))
		if (ds->inet.inet_sport == htons(port))
			return (struct sock *)ds;
	return NULL;
}

/* S4: any free port, beginning in the upper half. 0: there is none. */
static u16 free_port(struct divert_ports *ports)
{
	int tries;

	for (tries = 0; tries < 65535; tries++) {
		if (++ports->rover == 0)
			ports->rover = 1;
		if (!divert_listener(ports, ports->rover))
			return ports->rover;
	}
	return 0;
}

void divert_nobody(struct divert_ports *ports)
{
	atomic_inc(&ports->nobody);
}

/* The socket's calls. */

static int divert_init_sock(struct sock *sk)
{
	struct divert_sock *ds = divert_sk(sk);
	const struct net *net = sock_net(sk);
	int err;

	INIT_HLIST_NODE(&ds->node);
	ds->hooked = false;
	ds->ports = divert_ports(net);
	atomic_set(&ds->bytes, 0);
	ds->closed = false;
	divert_kept_init(ds);
	divert_account_init(&ds->account);
	atomic_set(&ds->delivered, 0);
	atomic_set(&ds->dropped, 0);
	atomic_set(&ds->injected, 0);
	/* Not bound (S4); a num that is no zero keeps inet_autobind() away. */
	ds->inet.inet_sport = 0;
	ds->inet.inet_num = IPPROTO_RAW;
	/* F3: what this host sends is measured by its interface, as hdrincl. */
	ds->inet.pmtudisc = IP_PMTUDISC_PROBE;
	sock_set_flag(sk, SOCK_RCU_FREE);
	/* M12: what the process gives up later does not matter. */
	ds->admin = ns_capable_noaudit(net->user_ns, CAP_NET_ADMIN);
	if (!divert_admits(net))
		return -EPERM;
	err = divert_hooks_need(sock_net(sk));
	ds->hooked = !err;
	return err;
}

/* S12: opened, a socket is in no table, the raw sockets' least of all. */
static int divert_hash(struct sock *sk)
{
	return 0;
}

static void divert_unhash(struct sock *sk)
{
	struct divert_ports *ports = divert_sk(sk)->ports;

	spin_lock_bh(&ports->lock);
	hlist_del_init_rcu(&divert_sk(sk)->node);
	spin_unlock_bh(&ports->lock);
}

/* S10: out of the table, and what a taker is about to queue is refused. */
static void divert_close(struct sock *sk, long timeout)
{
	divert_unhash(sk);
	spin_lock_bh(&sk->sk_receive_queue.lock);
	divert_sk(sk)->closed = true;
	spin_unlock_bh(&sk->sk_receive_queue.lock);
	skb_queue_purge(&sk->sk_receive_queue);
	divert_kept_exit(sk);
	divert_pending_sock_exit(sk);
	if (divert_sk(sk)->hooked)
		divert_hooks_release(sock_net(sk));
	sk_common_release(sk);
}

/* S3, S4: only family and port count. */
static int divert_bind(struct sock *sk, divert_sockaddr *uaddr, int addr_len)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)uaddr;
	struct divert_ports *ports = divert_sk(sk)->ports;
	int err = 0;
	u16 port;

	if (addr_len < sizeof(*sin))
		return -EINVAL;
	if (sin->sin_family != AF_INET)
		return inet_sk(sk)->inet_sport ? -EINVAL : -EAFNOSUPPORT;
	port = ntohs(sin->sin_port);
	spin_lock_bh(&ports->lock);
	if (!port)
		port = free_port(ports);
	if (inet_sk(sk)->inet_sport) {
		err = -EINVAL;
	} else if (!port || divert_listener(ports, port)) {
		err = -EADDRINUSE;
	} else {
		inet_sk(sk)->inet_sport = htons(port);
		hlist_add_head_rcu(&divert_sk(sk)->node, port_bucket(ports, port));
	}
	spin_unlock_bh(&ports->lock);
	return err;
}

static int queued_or_sent(struct sock *sk, int cmd)
{
	struct sk_buff *skb;
	int value;

	switch (cmd) {
	case SIOCINQ:
		spin_lock_bh(&sk->sk_receive_queue.lock);
		skb = skb_peek(&sk->sk_receive_queue);
		value = skb ? skb->len : 0;
		spin_unlock_bh(&sk->sk_receive_queue.lock);
		return value;
	case SIOCOUTQ:
		return sk_wmem_alloc_get(sk);
	}
	return -ENOIOCTLCMD;
}

static int divert_ioctl(struct sock *sk, int cmd, divert_ioctl_arg arg)
{
	int value = queued_or_sent(sk, cmd);

	return value < 0 ? value : divert_ioctl_answer(arg, value);
}

/*
 * I3: no address, or one that is all zero, means outbound. The family is not
 * looked at: S6 has programs that fill in only sin_addr.
 */
static int divert_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)
{
	struct sockaddr_in *sin = msg->msg_name;
	bool named = sin && msg->msg_namelen;
	struct divert_cookie cookie = { 0 };
	struct divert_pending *p = NULL;
	struct sk_buff *skb;
	__be32 addr;
	int err;

	if (msg->msg_flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (READ_ONCE(sk->sk_shutdown) & SEND_SHUTDOWN) /* S8: whatever would be sent */
		return -EPIPE;
	if (named && msg->msg_namelen >= sizeof(*sin))
		divert_cookie_read(divert_sk(sk)->ports, sin, &cookie);
	if (cookie.kind == DIVERT_COOKIE_KEPT)
		return divert_send_kept(sk, msg, len, cookie.number);
	if (len < sizeof(struct iphdr))
		return -EINVAL;
	if (len > DIVERT_MAX_PACKET)
		return -EMSGSIZE;
	if (named && msg->msg_namelen < sizeof(*sin))
		return -EINVAL;
	addr = named ? sin->sin_addr.s_addr : 0;
	if (cookie.kind == DIVERT_COOKIE_PENDING)
		p = divert_pending_claim(sk, &cookie, addr, &skb);
	if (IS_ERR(p))
		return PTR_ERR(p);
	err = p ? divert_give_back(sk, msg, len, p, skb) : divert_inject(sk, msg, len, addr);
	if (err)
		return err;
	atomic_inc(&divert_sk(sk)->injected);
	return len;
}

static int divert_recvmsg(struct sock *sk, struct msghdr *msg, size_t len,
			  int flags DIVERT_NAME_LENGTH)
{
	struct sockaddr_in *sin = msg->msg_name;
	struct sk_buff *skb;
	size_t copied;
	int err;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (flags & MSG_ERRQUEUE)
		return divert_recv_error(sk, msg, len);

	if (READ_ONCE(divert_sk(sk)->keep) == DIVERT_READ && !(flags & MSG_PEEK))
		divert_read_on(sk);
	skb = skb_recv_datagram(sk, flags, &err);
	if (!skb)
		return err;
	copied = skb->len;
	if (copied > len) {
		msg->msg_flags |= MSG_TRUNC;
		copied = len;
	}
	err = skb_copy_datagram_msg(skb, 0, msg, copied);
	if (err)
		goto free;
	sock_recv_timestamp(msg, sk, skb);
	err = flags & MSG_TRUNC ? skb->len : copied;
	if (!sin)
		goto free;
	divert_set_name_length(msg, sizeof(*sin));
	if (flags & MSG_PEEK) {
		divert_pending_peeked(sk, skb, sin);
		goto free;
	}
	if (READ_ONCE(divert_sk(sk)->keep))
		divert_keep(sk, skb, sin);
	else
		divert_pending_read(sk, skb, sin);
	return err;
free:
	skb_free_datagram(sk, skb);
	return err;
}

/*
 * S9, M12: all queues together, in pages: as UDP's. The parts of it that a processor
 * has taken and not used yet are the kernel's business.
 */
long divert_mem[3] __read_mostly;
static atomic_long_t divert_memory;
static DEFINE_PER_CPU(int, divert_memory_here);
/* What a queue has before the first of the three is asked. */
static int divert_least = PAGE_SIZE;

void __init divert_mem_init(void)
{
	long limit = max(nr_free_buffer_pages() / 8, 128UL);

	divert_mem[0] = limit / 4 * 3;
	divert_mem[1] = limit;
	divert_mem[2] = divert_mem[0] * 2;
}

struct proto divert_prot = {
	.name = "DIVERT",
	.owner = THIS_MODULE,
	.close = divert_close,
	.ioctl = divert_ioctl,
	.init = divert_init_sock,
	.setsockopt = divert_setsockopt,
	.getsockopt = divert_getsockopt,
	.sendmsg = divert_sendmsg,
	.recvmsg = divert_recvmsg,
	.bind = divert_bind,
	.hash = divert_hash,
	.unhash = divert_unhash,
	.memory_allocated = &divert_memory,
	.per_cpu_fw_alloc = &divert_memory_here,
	.sysctl_mem = divert_mem,
	.sysctl_rmem = &divert_least,
	.obj_size = sizeof(struct divert_sock),
};
