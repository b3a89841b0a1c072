/* SPDX-License-Identifier: GPL-2.0-only */
/*
 *	Divert sockets: what is pending, that is, taken and not given back yet.
 *	Local to net/ipv4/ip_divert*.c.
 *
 *	Statement numbers (S1, T3, ...) are those of the project's SPEC.md.
 */
#ifndef _NET_IP_DIVERT_PENDING_H
#define _NET_IP_DIVERT_PENDING_H

#include <linux/types.h>
#include <linux/socket.h>
#include <linux/in.h>
#include <linux/skbuff.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/ip_divert.h>

/*
 *	How many packets that were read can be given back. Each takes an entry,
 *	and the oldest is overwritten. A power of two; Configure.help tells it.
 */
#define DIVERT_PENDING		16384

/*
 *	A packet that was taken: where, and what the kernel knew of it (I2).
 *	While it is queued this stands before it in its buffer; once it is read,
 *	in a table, and the tag has its number. Of its route there are the keys
 *	of the look-up alone, so that nothing fills the route cache; so it says
 *	the same however often it is used.
 */
struct divert_pending
{
	__u64		id;		/* 0: no program has seen its tag */
	__u32		rule;		/* T3: divert_place()		*/
	__u32		addr;		/* S5				*/
	__u32		saddr;		/* What routing looks at of the	*/
	__u32		daddr;		/* header, and tos: a program	*/
	__u32		mark;		/* may change it		*/
	struct rt_key	key;		/* If routed			*/
	int		in;		/* Interfaces; 0: none		*/
	int		out;
	unsigned short	port;		/* By which it was read		*/
	unsigned char	hook;
	unsigned char	way;		/* Not on input			*/
	unsigned char	routed;		/* It had a route, as all have but on input */
	unsigned char	pkt_type;
	unsigned char	tos;
	unsigned char	cb_flags;	/* IPCB(skb)->flags		*/
};

#define DIVERT_IS_SENT(way)						\
	((way) == DIVERT_WAY_SENT || (way) == DIVERT_WAY_SENT_NOLOOP)

/* Of a packet that is queued. */
#define DIVERT_QUEUED(skb)	((struct divert_pending *)(skb)->head)

struct divert_sock
{
	atomic_t	delivered;
	atomic_t	dropped;
	atomic_t	injected;
	__u64		since;		/* S10: what it has read has a higher id */
};
#define DIVERT_SK(sk)	((struct divert_sock *)&(sk)->tp_pinfo)

/* ip_divert_pending.c */
extern int divert_pending_init(void);
extern void divert_pending_bound(struct sock *sk);
extern void divert_pending_read(struct sock *sk, struct sk_buff *skb,
				struct sockaddr_in *sin);
extern int divert_pending_find(const struct sockaddr_in *sin,
			       struct divert_pending *p);
extern void divert_describe(struct divert_pending *p,
			    const struct divert_walk *w, const char *rif);
extern void divert_describe_header(struct divert_pending *p,
				   const struct iphdr *iph);
extern void divert_restore(const struct divert_pending *p, struct sk_buff *skb);
extern int divert_is_elsewhere(const struct divert_pending *p,
			       const struct iphdr *iph);

/* ip_divert.c */
extern struct sock *divert_lookup(unsigned short port);

/* ip_divert_inject.c */
extern int divert_inject(struct sock *sk, struct msghdr *msg, int len,
			 const struct sockaddr_in *sin);
extern int divert_refused(int verdict);
extern int divert_way_errno(int err);
extern int divert_way_out(struct sk_buff *skb, __u32 daddr, __u32 saddr,
			  __u32 tos, int oif);
extern int divert_receive(struct sk_buff *skb, struct device *dev);
extern int divert_local_out(struct sock *sk, struct sk_buff *skb,
			    unsigned limit, int loop);

/* ip_divert_reinject.c */
extern int divert_reenter(struct sock *sk, struct sk_buff *skb,
			  const struct divert_pending *p);

/* ipmr.c */
extern void ipmr_encap(struct sk_buff *skb, u32 saddr, u32 daddr);

#endif /* _NET_IP_DIVERT_PENDING_H */
