/* SPDX-License-Identifier: GPL-2.0-only */
/*
 *	Divert sockets: the socket, its port, its queue, and how a rule of the
 *	firewall fills it. What is known of a packet is in ip_divert_pending.c,
 *	injection in ip_divert_inject.c.
 *
 *	Statement numbers (S1, T3, ...) are those of the project's SPEC.md.
 *
 *	Context. Packets are taken in bottom halves and in processes that send,
 *	always without sleeping. The table of ports is changed by processes
 *	only, which the kernel lock serialises, with bottom halves held off;
 *	so it is read without a lock in both contexts, and a socket that was
 *	found stays until the reader is done. Queues are guarded by
 *	skb_queue_lock, with interrupts off, counters are atomic.
 */

#include <linux/config.h>
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/errno.h>
#include <linux/socket.h>
#include <linux/sockios.h>
#include <linux/in.h>
#include <linux/inet.h>
#include <linux/netdevice.h>
#include <linux/inetdevice.h>
#include <linux/icmp.h>
#include <linux/skbuff.h>
#include <linux/proc_fs.h>
#include <linux/stat.h>
#include <linux/init.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/raw.h>
#include <linux/firewall.h>
#include <linux/ip_fw.h>
#include <net/ip_divert_pending.h>

#include <asm/uaccess.h>
#include <asm/ioctls.h>

#ifdef CONFIG_IP_DIVERT_PASSTHROUGH
#define DIVERT_PASSTHROUGH	1
#else
#define DIVERT_PASSTHROUGH	0
#endif

#define DIVERT_HTABLE_SIZE	1024
#define DIVERT_MAX_PORT		65535
#define DIVERT_MAX_PACKET	65535

/* S9: what a new socket's queue may take of memory; SO_RCVBUF says otherwise. */
#define DIVERT_RCVBUF		131072

static struct sock *divert_htable[DIVERT_HTABLE_SIZE];

/* S11: packets that met a rule on whose port nobody listened. */
static atomic_t divert_no_listener = ATOMIC_INIT(0);

/*
 *	The table of ports.
 */

static struct sock **divert_bucket(unsigned short port)
{
	return &divert_htable[port & (DIVERT_HTABLE_SIZE - 1)];
}

struct sock *divert_lookup(unsigned short port)
{
	struct sock *sk;

	for (sk = *divert_bucket(port); sk; sk = sk->next)
		if (sk->sport == htons(port))
			break;
	return sk;
}

static void divert_enter(struct sock *sk, unsigned short port)
{
	struct sock **skp = divert_bucket(port);

	sk->sport = htons(port);
	SOCKHASH_LOCK();
	if ((sk->next = *skp) != NULL)
		(*skp)->pprev = &sk->next;
	*skp = sk;
	sk->pprev = skp;
	SOCKHASH_UNLOCK();
}

static void divert_unhash(struct sock *sk)
{
	SOCKHASH_LOCK();
	if (sk->pprev) {
		if (sk->next)
			sk->next->pprev = sk->pprev;
		*sk->pprev = sk->next;
		sk->pprev = NULL;
	}
	SOCKHASH_UNLOCK();
}

/* S12: opened, a socket is in no table, the raw sockets' least of all. */
static void divert_hash(struct sock *sk)
{
}

/* S4: any free port, beginning in the upper half. 0: there is none. */
static unsigned short divert_free_port(void)
{
	static unsigned short rover = 32767;
	int tries;

	for (tries = 0; tries < DIVERT_MAX_PORT; tries++) {
		if (++rover == 0)
			rover = 1;
		if (!divert_lookup(rover))
			return rover;
	}
	return 0;
}

/*
 *	The firewall's side: rules.
 */

int divert_label(const char *label)
{
	return strcmp(label, IP_FW_LABEL_DIVERT) == 0;
}

/*
 *	R4: the port must not be 0. Every rule, whatever its target, gets a
 *	name of its own, by which T3 knows it again after other rules came and
 *	went. Called with the firewall's lock held for writing.
 */
int divert_rule_init(struct divert_rule *rule, const struct ip_fw *fw,
		     int target)
{
	static __u32 last;

	do
		last = (last + 1) & DIVERT_RULE_MASK;
	while (!last);
	rule->id = last;
	return target == FW_DIVERT && fw->fw_redirpt == 0;
}

/*
 *	The firewall's side: a walk through the chains of a hook.
 */

void divert_walk_begin(struct divert_walk *w, struct sk_buff *skb, int hook)
{
	w->skb = skb;
	w->sk = NULL;
	w->hook = hook;
	w->state = DIVERT_LIVE;
	if (!skb)
		return;
	if (skb->divert.hook == hook) {
		w->state = DIVERT_QUIET;
		w->rule = skb->divert.rule;
	}
	skb->divert.hook = 0;
}

/*
 *	A packet has matched a DIVERT rule. True if it goes on to the next one as
 *	if the rule had no target: before the rule that took it (T3), where it
 *	was last injected (T1), where nobody listens (P2).
 */
int divert_pass_packet(struct divert_walk *w, const struct divert_rule *rule,
		       __u32 path, const struct ip_fw *fw)
{
	if (w->state != DIVERT_LIVE || fw->fw_redirpt == w->skb->divert.port)
		return 1;
	w->rule = divert_place(rule, path);
	w->sk = divert_lookup(fw->fw_redirpt);
	if (w->sk)
		return 0;
	atomic_inc(&divert_no_listener);
	return DIVERT_PASSTHROUGH;
}

/*
 *	S7: what the stack does to the header after the chain is done to the
 *	copy now: TCP's DF and checksum (ip_queue_xmit), a router's own entry in
 *	the options (ip_forward). Injection then leaves them alone. The total
 *	length is true at every hook: ip_rcv() has cut the packet to it, and
 *	whoever built one here has written it.
 */
static void divert_complete(struct divert_walk *w, struct sk_buff *copy)
{
	struct sk_buff *skb = w->skb;
	struct rtable *rt = (struct rtable *)skb->dst;
	struct sock *sk = skb->sk;
	struct iphdr *iph = copy->nh.iph;

	if (iph->ihl * 4 > copy->len)
		return;		/* A raw socket's rubbish */
	if (w->hook == DIVERT_INPUT) {
		/* As it came */
	} else if (DIVERT_QUEUED(copy)->way == DIVERT_WAY_FORWARDED) {
		if (iph->ihl > 5) {
			memcpy(copy->cb, skb->cb, sizeof(copy->cb));
			copy->dst = skb->dst;
			ip_forward_options(copy);
			copy->dst = NULL;
		}
	} else if (sk && sk->type == SOCK_STREAM &&
		   ip_dont_fragment(sk, &rt->u.dst)) {
		iph->frag_off |= htons(IP_DF);
	}
	ip_send_check(iph);
}

/*
 *	S9: what a buffer takes of the kernel's memory, of which kmalloc() has
 *	pieces of powers of two.
 */
static unsigned int divert_memory(const struct sk_buff *skb)
{
	const unsigned int data = skb->end - skb->head + sizeof(atomic_t);
	unsigned int piece = 32;

	while (piece < data)
		piece <<= 1;
	return piece + sizeof(*skb);
}

/* S8, S9: where nothing is queued there is room for a packet of any size. */
static int divert_has_room(struct sock *sk, const struct sk_buff *skb)
{
	return skb_queue_empty(&sk->receive_queue) ||
	       atomic_read(&sk->rmem_alloc) + skb->truesize <=
	       (unsigned)sk->rcvbuf;
}

/* True if there was room for it, or the socket's own filter refused it. */
static int divert_enqueue(struct sock *sk, struct sk_buff *skb)
{
#ifdef CONFIG_FILTER
	struct sk_filter *filter = sk->filter;
#endif

	skb->truesize = divert_memory(skb);
	if (!divert_has_room(sk, skb))
		return 0;
#ifdef CONFIG_FILTER
	if (filter && sk_filter(skb, filter)) {
		kfree_skb(skb);
		return 1;
	}
#endif
	skb_set_owner_r(skb, sk);
	skb_queue_tail(&sk->receive_queue, skb);
	atomic_inc(&DIVERT_SK(sk)->delivered);
	if (!sk->dead)
		sk->data_ready(sk, skb->len);
	return 1;
}

/*
 *	The walk is over. If a DIVERT target ended it, queue a copy and tell the
 *	caller FW_QUEUE: it drops the original, and a local sender sees success.
 *	A copy, because TCP would rewrite the original when it retransmits,
 *	sniffers share its data, and its sender is charged for it until it is
 *	freed. Before it in its buffer is what is known of it.
 */
int divert_verdict(struct divert_walk *w, int verdict, struct iphdr *ip,
		   const char *rif)
{
	struct sk_buff *skb = w->skb;
	struct sk_buff *copy;
	int len = ntohs(ip->tot_len);

	if (verdict != FW_DIVERT || !skb)
		return verdict;
	if (!w->sk)
		return FW_BLOCK;		/* P1: as by DENY */

	copy = alloc_skb(sizeof(struct divert_pending) + len, GFP_ATOMIC);
	if (!copy)
		goto dropped;
	skb_reserve(copy, sizeof(struct divert_pending));
	memcpy(skb_put(copy, len), ip, len);
	copy->nh.raw = copy->h.raw = copy->data;
	copy->stamp = skb->stamp;
	if (copy->stamp.tv_sec == 0)
		get_fast_time(&copy->stamp);
	divert_describe(DIVERT_QUEUED(copy), w, rif);
	divert_complete(w, copy);
	divert_describe_header(DIVERT_QUEUED(copy), copy->nh.iph);
	if (divert_enqueue(w->sk, copy))
		return FW_QUEUE;
	kfree_skb(copy);

dropped:					/* S9, P4 */
	atomic_inc(&DIVERT_SK(w->sk)->dropped);
	return FW_QUEUE;
}

/*
 *	The socket.
 */

static int divert_sock_init(struct sock *sk)
{
	int err = divert_pending_init();

	if (err) {
		/* inet_create() frees the socket, and then again by this */
		sk->socket->sk = NULL;
		return err;
	}
	/*
	 *	Not bound (S4). inet_create() has made num the protocol; as that
	 *	of IPPROTO_RAW it keeps the socket out of the router alert chain
	 *	(S12), and as no zero it keeps inet_autobind() away.
	 */
	sk->sport = 0;
	sk->num = IPPROTO_RAW;
	sk->rcvbuf = max(sk->rcvbuf, DIVERT_RCVBUF);
	return 0;
}

/* S10. As raw_close(): once out of the table, nothing new can arrive. */
static void divert_close(struct sock *sk, long timeout)
{
	divert_unhash(sk);
	sk->dead = 1;
	destroy_sock(sk);
}

/* S3, S4: only family and port count. */
static int divert_bind(struct sock *sk, struct sockaddr *uaddr, int addr_len)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)uaddr;
	unsigned short port;

	if (addr_len < sizeof(struct sockaddr_in) || sk->sport)
		return -EINVAL;
	if (sin->sin_family != AF_INET)
		return -EAFNOSUPPORT;
	port = ntohs(sin->sin_port);
	if (port ? divert_lookup(port) != NULL : !(port = divert_free_port()))
		return -EADDRINUSE;
	divert_pending_bound(sk);
	divert_enter(sk, port);
	return 0;
}

static int divert_ioctl(struct sock *sk, int cmd, unsigned long arg)
{
	struct sk_buff *skb;

	switch (cmd) {
	case TIOCINQ:			/* FIONREAD */
		/* Bottom halves only add to the queue */
		skb = skb_peek(&sk->receive_queue);
		return put_user(skb ? skb->len : 0, (int *)arg);
	case TIOCOUTQ:
		return put_user(atomic_read(&sk->wmem_alloc), (int *)arg);
	}
	return -ENOIOCTLCMD;
}

/* I3: the family is not looked at: S6 has programs that fill in only sin_addr. */
static int divert_sendmsg(struct sock *sk, struct msghdr *msg, int len)
{
	const struct sockaddr_in *sin = (struct sockaddr_in *)msg->msg_name;
	int err;

	if (msg->msg_flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (len < (int)sizeof(struct iphdr))
		return -EINVAL;
	if (len > DIVERT_MAX_PACKET)
		return -EMSGSIZE;
	if (!msg->msg_namelen)
		sin = NULL;
	if (sin && msg->msg_namelen < sizeof(*sin))
		return -EINVAL;
	err = divert_inject(sk, msg, len, sin);
	if (err)
		return err;
	atomic_inc(&DIVERT_SK(sk)->injected);
	return len;
}

static int divert_recvmsg(struct sock *sk, struct msghdr *msg, int len,
			  int noblock, int flags, int *addr_len)
{
	struct sk_buff *skb;
	int copied, err;

	if (flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (addr_len)
		*addr_len = sizeof(struct sockaddr_in);
	if (flags & MSG_ERRQUEUE)
		return ip_recv_error(sk, msg, len);

	skb = skb_recv_datagram(sk, flags, noblock, &err);
	if (!skb)
		return err;

	copied = skb->len;
	if (copied > len) {
		msg->msg_flags |= MSG_TRUNC;
		copied = len;
	}
	err = skb_copy_datagram_iovec(skb, 0, msg->msg_iov, copied);
	if (!err) {
		sk->stamp = skb->stamp;
		if (msg->msg_name)
			divert_pending_read(sk, skb, msg->msg_name);
	}
	skb_free_datagram(sk, skb);
	return err ? err : copied;
}

static struct proto divert_prot = {
	(struct sock *)&divert_prot,	/* sklist_next */
	(struct sock *)&divert_prot,	/* sklist_prev */
	divert_close,			/* close */
	NULL,				/* connect */
	NULL,				/* accept */
	NULL,				/* retransmit */
	NULL,				/* write_wakeup */
	NULL,				/* read_wakeup */
	datagram_poll,			/* poll */
	divert_ioctl,			/* ioctl */
	divert_sock_init,		/* init */
	NULL,				/* destroy */
	NULL,				/* shutdown */
	ip_setsockopt,			/* setsockopt */
	ip_getsockopt,			/* getsockopt */
	divert_sendmsg,			/* sendmsg */
	divert_recvmsg,			/* recvmsg */
	divert_bind,			/* bind */
	NULL,				/* backlog_rcv */
	divert_hash,			/* hash */
	divert_unhash,			/* unhash */
	NULL,				/* get_port */
	128,				/* max_header */
	0,				/* retransmits */
	"DIVERT",			/* name */
	0,				/* inuse */
	0				/* highestinuse */
};

/* S1: inet_create() asks which raw socket it shall make. */
struct proto *divert_proto(int protocol)
{
	return protocol == IPPROTO_DIVERT ? &divert_prot : &raw_prot;
}

/*
 *	/proc/net/divert (S11).
 */

#ifdef CONFIG_PROC_FS
static unsigned int divert_queued_bytes(struct sock *sk)
{
	struct sk_buff_head *list = &sk->receive_queue;
	struct sk_buff *skb;
	unsigned int bytes = 0;
	unsigned long flags;

	spin_lock_irqsave(&skb_queue_lock, flags);
	for (skb = list->next; skb != (struct sk_buff *)list; skb = skb->next)
		bytes += skb->len;
	spin_unlock_irqrestore(&skb_queue_lock, flags);
	return bytes;
}

#define DIVERT_LINE	50	/* Bytes of every line but the last */

/* As raw_get_info(): what the reader has behind it is counted, not written. */
static int divert_get_info(char *buffer, char **start, off_t offset,
			   int length, int dummy)
{
	off_t pos = DIVERT_LINE;	/* Where the lines so far end */
	struct sock *sk;
	int len = 0;
	int i;

	if (offset < DIVERT_LINE)
		len = sprintf(buffer, "%5s %10s %10s %10s %10s\n", "port",
			      "queued", "delivered", "dropped", "injected");
	SOCKHASH_LOCK();
	for (i = 0; i < DIVERT_HTABLE_SIZE; i++)
		for (sk = divert_htable[i]; sk; sk = sk->next) {
			struct divert_sock *ds = DIVERT_SK(sk);

			pos += DIVERT_LINE;
			if (pos <= offset)
				continue;
			len += sprintf(buffer + len,
				       "%5u %10u %10u %10u %10u\n",
				       ntohs(sk->sport),
				       divert_queued_bytes(sk),
				       atomic_read(&ds->delivered),
				       atomic_read(&ds->dropped),
				       atomic_read(&ds->injected));
			if (pos >= offset + length)
				goto full;
		}
	i = sprintf(buffer + len, "no-listener %u\n",
		    atomic_read(&divert_no_listener));
	len += i;
	pos += i;
full:
	SOCKHASH_UNLOCK();
	i = len - (pos - offset);	/* Of the first line, what was read */
	*start = buffer + i;
	len -= i;
	if (len > length)
		len = length;
	return len < 0 ? 0 : len;
}

static struct proc_dir_entry proc_net_divert = {
	0, 6, "divert",
	S_IFREG | S_IRUGO, 1, 0, 0,
	0, &proc_net_inode_operations,
	divert_get_info
};
#endif /* CONFIG_PROC_FS */

void __init divert_init(void)
{
#ifdef CONFIG_PROC_FS
	proc_net_register(&proc_net_divert);
#endif
}
