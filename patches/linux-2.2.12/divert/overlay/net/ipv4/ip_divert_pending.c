/* SPDX-License-Identifier: GPL-2.0-only */
/*
 *	Divert sockets: what is known of a packet that was taken, from when it is
 *	taken until it is given back (I2), and the tag that names it (S6).
 *
 *	Statement numbers (S1, T3, ...) are those of the project's SPEC.md.
 *
 *	Context. What has been read is in a table that processes alone use,
 *	which the kernel lock serialises; nothing here sleeps but its making.
 */

#include <linux/config.h>
#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/errno.h>
#include <linux/socket.h>
#include <linux/in.h>
#include <linux/netdevice.h>
#include <linux/random.h>
#include <linux/skbuff.h>
#include <linux/vmalloc.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/ip_divert_pending.h>

/* Made with the first socket, and kept; an id's place is its lower bits. */
static struct divert_pending *divert_table;
static __u64 divert_last_id;

/* S6: the key of the tag's check value, drawn when the first socket opens. */
static __u32 divert_key[4];

int divert_pending_init(void)
{
	const unsigned long size = DIVERT_PENDING * sizeof(*divert_table);
	struct divert_pending *table;

	if (divert_table)
		return 0;
	table = vmalloc(size);
	if (divert_table) {		/* By somebody else, while we slept */
		vfree(table);
		return 0;
	}
	if (!table)
		return -ENOBUFS;
	memset(table, 0, size);
	get_random_bytes(divert_key, sizeof(divert_key));
	divert_table = table;
	return 0;
}

static struct divert_pending *divert_entry(__u64 id)
{
	return &divert_table[(__u32)id & (DIVERT_PENDING - 1)];
}

/* S10: what sockets before it have read by its port is not its own. */
void divert_pending_bound(struct sock *sk)
{
	DIVERT_SK(sk)->since = divert_last_id;
}

/*
 *	The tag, in the ten bytes that IP leaves free in a sockaddr_in. Its
 *	check value has 40 bits and a secret, so that nobody can make one up. It
 *	covers the address, so that "given back with the address it was received
 *	with" is part of it, and all of the id, of which the tag has the lower
 *	half: an old tag is not taken for a new one when that comes round.
 *
 *	sin_port	check, 16 of 40 bits
 *	sin_zero[0]	kind, never 0
 *	sin_zero[1..2]	check
 *	sin_zero[3..6]	the lower half of the id
 *	sin_zero[7]	check
 */
#define DIVERT_COOKIE_PENDING	0x08

/* XTEA, of Needham and Wheeler. */
static void divert_encipher(__u32 v[2])
{
	__u32 sum = 0;
	int i;

	for (i = 0; i < 32; i++) {
		v[0] += ((v[1] << 4 ^ v[1] >> 5) + v[1]) ^
			(sum + divert_key[sum & 3]);
		sum += 0x9e3779b9;
		v[1] += ((v[0] << 4 ^ v[0] >> 5) + v[0]) ^
			(sum + divert_key[sum >> 11 & 3]);
	}
}

static void divert_cookie_write(struct sockaddr_in *sin, __u32 addr, __u64 id)
{
	unsigned char *z = (unsigned char *)sin->sin_zero;
	__u32 number = id;
	__u32 v[2];

	v[0] = id >> 32;
	v[1] = number;
	divert_encipher(v);
	v[0] ^= addr;
	divert_encipher(v);

	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = addr;
	sin->sin_port = v[0] >> 16;
	z[0] = DIVERT_COOKIE_PENDING;
	z[1] = v[0] >> 8;
	z[2] = v[0];
	z[3] = number >> 24;
	z[4] = number >> 16;
	z[5] = number >> 8;
	z[6] = number;
	z[7] = v[1];
}

static int divert_cookie_is(const struct sockaddr_in *sin, __u64 id)
{
	struct sockaddr_in own;

	divert_cookie_write(&own, sin->sin_addr.s_addr, id);
	return own.sin_port == sin->sin_port &&
	       memcmp(own.sin_zero, sin->sin_zero, sizeof(own.sin_zero)) == 0;
}

/*
 *	A program reads, or only looks at (MSG_PEEK), this packet, and is told
 *	its tag. Who looked at it before knows the same.
 */
void divert_pending_read(struct sock *sk, struct sk_buff *skb,
			 struct sockaddr_in *sin)
{
	struct divert_pending *p = DIVERT_QUEUED(skb);

	if (!p->id || divert_entry(p->id)->id != p->id) {
		p->id = ++divert_last_id;
		p->port = ntohs(sk->sport);
		*divert_entry(p->id) = *p;
	}
	divert_cookie_write(sin, p->addr, p->id);
}

/*
 *	The packet that this tag is of. Returns 1; 0 if it is no tag, and ESTALE
 *	if it was one: of ids with this lower half the last one that there was.
 */
int divert_pending_find(const struct sockaddr_in *sin, struct divert_pending *p)
{
	const unsigned char *z = (const unsigned char *)sin->sin_zero;
	const __u32 number = z[3] << 24 | z[4] << 16 | z[5] << 8 | z[6];
	const struct divert_pending *entry;
	__u64 id = divert_last_id - (__u32)(divert_last_id - number);
	struct sock *sk;

	if (!(id - 1 < divert_last_id) || !divert_cookie_is(sin, id))
		return 0;
	entry = divert_entry(id);
	if (entry->id != id)
		return -ESTALE;
	sk = divert_lookup(entry->port);
	if (!sk || DIVERT_SK(sk)->since >= id)
		return -ESTALE;
	*p = *entry;
	return 1;
}

/*
 *	What is known of a packet, and how it is known again. Whatever
 *	divert_describe() finds in a packet, divert_restore() puts there, so
 *	that the next program's rule finds the same.
 */

static unsigned char divert_way(const struct divert_walk *w)
{
	const struct sk_buff *skb = w->skb;

	if (w->hook == DIVERT_INPUT)
		return 0;
	if (skb->divert.way)
		return skb->divert.way;
	if (((struct rtable *)skb->dst)->key.iif)
		return DIVERT_WAY_FORWARDED;
	return skb->sk && !skb->sk->ip_mc_loop ? DIVERT_WAY_SENT_NOLOOP :
						 DIVERT_WAY_SENT;
}

static __u32 divert_primary_address(const struct device *dev)
{
	struct in_device *in_dev = dev->ip_ptr;

	return in_dev && in_dev->ifa_list ? in_dev->ifa_list->ifa_local : 0;
}

/* rif: the interface that rules see. */
void divert_describe(struct divert_pending *p, const struct divert_walk *w,
		     const char *rif)
{
	const struct sk_buff *skb = w->skb;
	struct device *out;

	memset(p, 0, sizeof(*p));
	p->rule = w->rule;
	p->hook = w->hook;
	p->way = divert_way(w);
	p->mark = skb->fwmark;
	p->pkt_type = skb->pkt_type;
	p->cb_flags = IPCB(skb)->flags;
	if (skb->dst) {
		p->routed = 1;
		p->key = ((struct rtable *)skb->dst)->key;
	}
	if (!DIVERT_IS_SENT(p->way))	/* Else it has come by none */
		p->in = skb->dev->ifindex;
	if (w->hook != DIVERT_INPUT && (out = dev_get(rif)) != NULL)
		p->out = out->ifindex;
	if (w->hook != DIVERT_OUTPUT)			/* S5 */
		p->addr = divert_primary_address(skb->dev);
}

/* What of the header routing looks at, as the program sees it. */
void divert_describe_header(struct divert_pending *p, const struct iphdr *iph)
{
	p->saddr = iph->saddr;
	p->daddr = iph->daddr;
	p->tos = iph->tos;
}

/* T3: it has the mark that it had, and re-enters its hook behind the rule. */
void divert_restore(const struct divert_pending *p, struct sk_buff *skb)
{
	skb->divert.hook = p->hook;
	skb->divert.rule = p->rule;
	skb->divert.way = p->way;
	skb->fwmark = p->mark;
	skb->pkt_type = p->pkt_type;
	IPCB(skb)->flags = p->cb_flags;
	/*
	 *	What is forwarded has its options written already; but whoever
	 *	makes fragments of it has to know that there are some.
	 */
	if (p->hook != DIVERT_INPUT && !DIVERT_IS_SENT(p->way))
		IPCB(skb)->opt.optlen = skb->nh.iph->ihl * 4 -
					sizeof(struct iphdr);
}

/* True if a program has changed what routing looks at. */
int divert_is_elsewhere(const struct divert_pending *p, const struct iphdr *iph)
{
	return iph->saddr != p->saddr || iph->daddr != p->daddr ||
	       iph->tos != p->tos;
}
