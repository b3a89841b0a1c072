/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The sockets half of the module: ports, queues, tags, netfilter hooks and
 * injection. What the rules half calls is in divert.h.
 *
 * Statement numbers (S1, T3, ...) are those of the project's SPEC.md.
 *
 * Context. Packets are taken with bottom halves held off and under RCU.
 * The table of ports is read under RCU and written under its lock. A queue
 * has a lock of its own; nothing on the way of a packet is global.
 */
#ifndef DIVERT_SOCKET_H
#define DIVERT_SOCKET_H

#include <linux/in.h>
#include <linux/ip.h>
#include <linux/netfilter.h>
#include <linux/ratelimit.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/inet_sock.h>
#include <net/net_namespace.h>

#include "compat.h"
#include "divert.h"

#define DIVERT_MAX_PACKET	65535
#define DIVERT_HASH_BITS	10
#define DIVERT_HEADROOM		ALIGN(LL_MAX_HEADER, 16)

/* The connections of packets that were taken, of one network namespace. */
#define DIVERT_HELD_BITS	8

struct held;
struct divert_held {
	spinlock_t		lock;		/* of all that follows */
	struct hlist_head	table[1 << DIVERT_HELD_BITS];
	struct list_head	ages;		/* the oldest first */
	unsigned int		count;
	struct delayed_work	expire;
};

/* The state of one network namespace. */
struct divert_ports {
	spinlock_t		lock;		/* for writing */
	struct hlist_head	table[1 << DIVERT_HASH_BITS];
	u16			rover;		/* S4: where port 0 looks next */
	atomic_t		nobody;		/* S11 */
	struct sock		*noloop;	/* sends without IP_MULTICAST_LOOP */
	bool			bridged;	/* bridge.c's hook is there: RTNL */
	struct ratelimit_state	wrong;		/* M12: bound tags that do not hold, */
	unsigned long		shut;		/* none is looked at until then (jiffies) */
	struct divert_held	held;
};

struct divert_sock {
	struct inet_sock	inet;		/* first; inet_sport: the port */
	struct hlist_node	node;
	unsigned int		bytes;		/* these two, and the account of memory: */
	bool			closed;		/* under the lock of sk_receive_queue */
	bool			admin;		/* M12: might, when it was made */
	u8			keep;		/* M8, and these two under the */
	u32			read;		/* lock of kept */
	struct sk_buff_head	kept;
	atomic_t		delivered;
	atomic_t		dropped;
	atomic_t		injected;
};

static inline struct divert_sock *divert_sk(const struct sock *sk)
{
	return (struct divert_sock *)sk;
}

/* Where a packet was taken: what the tag of S6 says. */
struct divert_tag {
	u32	rule;			/* T3: place of the rule, 24 bits */
	u32	ifindex;		/* 24 bits */
	u32	check;			/* given, of one that is bound */
	bool	known;			/* ... that is certainly ours (M8) */
	u8	what;
#define DIVERT_TAG_HOOK		0x03
#define DIVERT_TAG_TYPE		0x1c	/* Input: skb->pkt_type */
#define DIVERT_TAG_TYPE_SHIFT	2
#define DIVERT_TAG_BOUND	0x20	/* Input: holds for its source and destination (M12) */
#define DIVERT_TAG_FORWARDED	0x20	/* Output: forwarded, not local */
#define DIVERT_TAG_ROUTED	0x40	/* Input: came with a route */
#define DIVERT_TAG_NOLOOP	0x40	/* Output: IP_MULTICAST_LOOP off */
#define DIVERT_TAG_MROUTE	0x80	/* Taken in multicast routing */
#define DIVERT_TAG_KEPT		0x04	/* All of it: the rest is a number (M8) */
};

/* What is in the control block of a packet that is queued, or kept. */
struct divert_cb {
	struct sockaddr_in	sin;
	u32			number;		/* M8 */
};

#define DIVERT_CB(skb)	((struct divert_cb *)(skb)->cb)

/*
 * One packet on its way, for as long as this processor is busy with it:
 * injection is synchronous, with bottom halves held off. Packets that the
 * stack makes meanwhile are told from it by their hook.
 */
struct divert_flight {
	struct divert_mark	mark;
	u8			way;
#define DIVERT_WAY_IN		1	/* the PRE_ROUTING hook and on */
#define DIVERT_WAY_FORWARD	2	/* the FORWARD hook and on */
#define DIVERT_WAY_OUT		3	/* the LOCAL_OUT hook and on */
	bool			whole;		/* OUT: not to be cut before the chain */
	bool			left;		/* OUT: has met its chain */
};

/* flight.c */
struct divert_flight *divert_flight_begin(struct divert_flight *flight);
void divert_flight_end(struct divert_flight *before);
struct divert_flight *divert_flight_now(void);

/* sock.c */
extern struct proto divert_prot;

/* proto.c */
struct divert_ports *divert_ports(const struct net *net);
void divert_guard_again(void);

/* tag.c */
void divert_tag_write(struct sockaddr_in *sin, const struct divert_tag *tag,
		      const struct iphdr *iph);
bool divert_tag_read(const struct sockaddr_in *sin, struct divert_tag *tag);
bool divert_tag_is_bound(const struct divert_tag *tag);
bool divert_tag_holds(const struct divert_tag *tag, __be32 addr, const struct iphdr *iph);

/* keep.c */
void divert_keep(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin);
void divert_read_on(struct sock *sk);
int divert_send_kept(struct sock *sk, struct msghdr *msg, size_t len, u32 number);
void divert_kept_init(struct divert_sock *ds);
void divert_kept_exit(struct divert_sock *ds);
int divert_setsockopt(struct sock *sk, int level, int name, sockptr_t value,
		      unsigned int len);
int divert_getsockopt(struct sock *sk, int level, int name, char __user *value,
		      int __user *len);

/* take.c */
void divert_take(struct divert_walk *w, const struct nf_hook_state *state);
void divert_uncharge(struct divert_sock *ds, struct sk_buff_head *taken);

/* hooks.c */
unsigned int divert_hook_in(void *priv, struct sk_buff *skb,
			    const struct nf_hook_state *state);

/* bridge.c */
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
bool divert_is_bridged(const struct sk_buff *skb, const struct nf_hook_state *state);
int divert_bridge_init(void);
void divert_bridge_exit(void);
#else
static inline bool divert_is_bridged(const struct sk_buff *skb,
				     const struct nf_hook_state *state)
{
	return false;
}

static inline int divert_bridge_init(void)
{
	return 0;
}

static inline void divert_bridge_exit(void)
{
}
#endif

/* resume.c: what marks the module's functions among the others of a hook */
#define DIVERT_HOOK	((void *)&divert_prot)
int divert_resume_at(struct sk_buff *skb, struct nf_hook_state *state);
int divert_resume_behind(struct sk_buff *skb, struct nf_hook_state *state);

/* held.c: with bottom halves off */
void divert_hold(struct net *net, const struct sk_buff *skb, u8 hook);
struct held *divert_attach(struct net *net, struct sk_buff *skb, u8 hook);
void divert_attached(struct net *net, struct held *held);
void divert_held_init(struct divert_held *all);
void divert_held_exit(struct divert_held *all);

/* packet.c */
int divert_packet_complete(struct sock *sk, struct sk_buff *skb);
struct sk_buff *divert_packet(struct sock *sk, struct msghdr *msg, int len, bool sent);

/* right.c */
int divert_check_right(struct sock *sk, const struct iphdr *iph, __be32 addr,
		       const struct divert_tag **tag);

/* inject.c */
int divert_inject(struct sock *sk, struct msghdr *msg, size_t len, __be32 addr,
		  const struct divert_tag *tag);
int divert_inject_kept(struct sock *sk, struct sk_buff *skb, const struct divert_tag *tag);
void divert_learn_input(const struct sk_buff *skb, const struct nf_hook_state *state);

/* onward.c: each consumes the packet, and returns 0 or a negative error */
struct rtable *divert_route(struct net *net, const struct sk_buff *skb, __be32 saddr,
			    int oif, u8 scope);
int divert_forward(struct net *net, struct sk_buff *skb, struct net_device *dev);
int divert_forwarded_output(struct net *net, struct sk_buff *skb, struct net_device *dev);
int divert_multicast_output(struct net *net, struct sk_buff *skb, struct net_device *dev);
int divert_outbound(struct sock *sk, struct sk_buff *skb, int flags,
		    const struct divert_tag *tag, struct divert_flight *flight);

/* whole.c */
int divert_gather(struct net *net, struct sk_buff *skb, u32 user,
		  struct divert_mark *mark);
unsigned int divert_cut(struct sk_buff *skb, const struct nf_hook_state *state);
unsigned int divert_split(struct sk_buff *skb, const struct nf_hook_state *state,
			  unsigned int (*walk)(struct sk_buff *skb,
					       const struct nf_hook_state *state));
void divert_mark_copy(struct sk_buff *skb, const struct divert_mark *mark);
bool divert_mark_take(struct sk_buff *skb, struct divert_mark *mark);

/* header.c */
int divert_header_init(void);

#endif /* DIVERT_SOCKET_H */
