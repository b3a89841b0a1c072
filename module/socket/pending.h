/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is pending: packets that were taken, until they are given back or forgotten. socket.h has
 * the rest of the sockets half.
 */
#ifndef DIVERT_PENDING_H
#define DIVERT_PENDING_H

#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/skbuff.h>
#include <linux/uidgid.h>
#include <net/ip.h>

struct divert_ports;
struct divert_sock;

/*
 * A packet that was taken: what the kernel knew of it, for when it is given back (I2, M11). Its
 * metadata are those of its skb; beside it is what a queued skb cannot hold, and what is left of
 * it as a stub when the first send has taken over the rest.
 */
struct divert_pending {
	struct hlist_node by_id;    /* if a program has seen its tag */
	struct list_head of_socket; /* in a list of its account */
	struct list_head of_net;
	struct list_head of_unconfirmed; /* if its connection is in no table yet */
	refcount_t refs;
	enum divert_state {
		PENDING_QUEUED, /* not read yet */
		PENDING_READ,   /* in the accounts of what has been read (S9) */
		PENDING_KEPT,   /* M8: in the queue's account */
		PENDING_STUB,
		PENDING_GONE,
	} state;
	bool claimed;        /* its skb is being given back */
	bool stale;          /* queued: what it needs has gone (queue's lock) */
	u64 id;              /* 0: no program has seen its tag, of which this */
	u64 check;           /* is the check value */
	u32 number;          /* M8 */
	unsigned int charge; /* bytes of memory */
	struct sk_buff *skb; /* NULL: a stub, or claimed */
	struct sock *reader; /* the divert socket; while it is in a list */
	struct sock *owner;  /* skb->sk, */
	struct sock *sender; /* and the hook's; each with a reference, or NULL */
	int (*okfn)(struct net *net, struct sock *sk, struct sk_buff *skb);
	const void *place; /* the module's function in the hook */

	/* The stub. */
	__be32 addr; /* S5 */
	u32 rule;    /* T3 */
	u8 hook;     /* of 2.2: DIVERT_INPUT ... */
	u8 nf_hook;  /* and netfilter's */
	u8 pkt_type;
	u8 tos;       /* of the header, as the next two: the keys of its */
	__be32 saddr; /* route that a program can change */
	__be32 daddr;
	u8 protocol;
	u8 routed; /* input: it came with a route */
	u8 mroute; /* taken in multicast routing */
	u32 ends;  /* ports, or what stands for them */
	u32 mark;
	u32 priority;
	int in; /* interfaces; 0: none */
	int out;
	int oif; /* of its sender, or its VRF's */
	enum divert_source {
		SOURCE_IS_KEY,     /* of that route, too */
		SOURCE_MAY_BE_KEY, /* or it was chosen with it: the route can tell */
		SOURCE_OF_HEADER,  /* that a program wrote: the same, but for who chose it */
	} source;
	int bridge_in; /* the port that a bridge had it by */
	kuid_t uid;    /* INVALID_UID: nobody has sent it */
};

/* What has been read and not given back, of a socket or of a network namespace (S9). */
struct divert_account {
	struct list_head whole; /* the oldest first */
	struct list_head stubs;
	unsigned int packets; /* of both */
	unsigned int stub_count;
	unsigned long bytes;
};

/* Where they are found, in a table that grows: pending_ids.c. All under the lock. */
#define DIVERT_IDS_BITS 9
struct divert_ids {
	struct hlist_head *table; /* by the lower bits of their ids */
	unsigned int bits;
	unsigned long again; /* jiffies: then it may be tried to let it grow */
	struct hlist_head first[1 << DIVERT_IDS_BITS];
};

/* What is in the control block of a packet that is queued, or kept: behind IP's own part. */
struct divert_cb {
	struct inet_skb_parm ip;
	struct divert_pending *pending;
};

#define DIVERT_CB(skb) ((struct divert_cb *)(skb)->cb)

/* What an address says, if it is a tag (S6). */
struct divert_cookie {
	enum { DIVERT_COOKIE_NONE, DIVERT_COOKIE_PENDING, DIVERT_COOKIE_KEPT } kind;
	u32 number; /* the lower half of an id, or M8's */
	u64 check;
};

/* cookie.c */
void divert_cookie_init(struct divert_ports *ports);
u64 divert_cookie_check(const struct divert_ports *ports, __be32 addr, u64 id);
void divert_cookie_write(struct sockaddr_in *sin, const struct divert_pending *p);
void divert_cookie_write_kept(const struct divert_ports *ports, struct sockaddr_in *sin,
			      __be32 addr, u32 number);
void divert_cookie_read(const struct divert_ports *ports, const struct sockaddr_in *sin,
			struct divert_cookie *cookie);

/* pending_spare.c */
struct divert_pending *divert_spare_get(void);
bool divert_spare_put(struct divert_pending *p);
struct divert_pending *divert_spare_any(void);

/* pending_ids.c */
void divert_ids_init(struct divert_ids *ids);
void divert_ids_exit(struct divert_ids *ids);
struct divert_pending *divert_ids_find(const struct divert_ids *ids, u32 id);
void divert_ids_add(struct divert_ids *ids, struct divert_pending *p);
unsigned int divert_ids_wanted(const struct divert_ids *ids, unsigned int count);
void divert_ids_grow(struct divert_ports *ports, unsigned int bits); /* without the lock */

/* pending.c */
struct divert_pending *divert_pending_new(void); /* with bottom halves off */
void divert_pending_put(struct divert_pending *p);
void divert_pending_unpublish(struct divert_pending *p);
void divert_pending_unqueued(struct sock *sk, struct sk_buff *skb);
void divert_pending_peeked(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin);
void divert_pending_read(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin);
struct divert_pending *divert_pending_claim(struct sock *sk, const struct divert_cookie *cookie,
					    __be32 addr, struct sk_buff **skb);
void divert_pending_settle(struct sock *sk, struct divert_pending *p, struct sk_buff *skb,
			   bool claimed);
int divert_pending_init(void);
void divert_pending_exit(void);

/* account.c: but for the last three, under the lock */
void divert_account_init(struct divert_account *account);
void divert_pending_add(struct divert_ports *ports, struct divert_pending *p);
void divert_pending_forget(struct divert_ports *ports, struct divert_pending *p,
			   struct list_head *gone);
void divert_pending_become_stub(struct divert_ports *ports, struct divert_pending *p,
				struct list_head *gone);
void divert_pending_keep_bounds(struct sock *sk, struct list_head *gone);
void divert_pending_dispose(struct list_head *gone);
bool divert_pending_make_room(struct sock *sk);
void divert_pending_sock_exit(struct sock *sk);

/* pending_gone.c; whether a packet needs what has gone: skb is NULL of a stub */
typedef bool divert_needs(const struct divert_pending *p, struct sk_buff *skb, int ifindex);
void divert_pending_watch(struct divert_ports *ports);
void divert_pending_net_init(struct net *net);
void divert_pending_net_exit(struct net *net);
int divert_pending_gone_init(void);
void divert_pending_gone_exit(void);

#endif /* DIVERT_PENDING_H */
