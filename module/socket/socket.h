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
#include <linux/siphash.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/net_namespace.h>

#include "compat.h"
#include "divert.h"
#include "inject_ctx.h"
#include "pending.h"

#define DIVERT_MAX_PACKET 65535
#define DIVERT_HASH_BITS  10
#define DIVERT_PART_BITS  7
#define DIVERT_HEADROOM   ALIGN(LL_MAX_HEADER, 16) /* of a packet that may go on */

/* The state of one network namespace. */
struct divert_ports {
	spinlock_t lock; /* for writing */
	struct hlist_head table[1 << DIVERT_HASH_BITS];
	u16 rover;       /* S4: where port 0 looks next */
	atomic_t nobody; /* S11 */

	/* hook_register.c; under its lock. */
	unsigned int users; /* of the hooks: sockets, and calls that are under way */
	bool hooked;
	bool bridged; /* there is a bridge, or was, */
	bool spared;  /* and its hook */
	bool used;    /* else they let all pass; read without the lock */

	/* pending.c; its lock comes before that of a socket's queue. */
	spinlock_t pending_lock;
	u64 last_id;
	struct divert_ids ids;
	siphash_key_t key; /* of tags (cookie.c), */
	u32 kept_seed;     /* and of those of kept packets */
	struct divert_account account;
	struct list_head unconfirmed; /* of the account, with such connections */
	unsigned int unconfirmed_count;
	unsigned int most_unconfirmed; /* unless told; 0: not asked for yet */
	struct delayed_work conntrack; /* looks whether it is there still */
	struct net *net;
	struct fw_table *chains;            /* its rules, */
	const struct divert_limits *limits; /* and sysctls: all three from the beginning */

	/* mark_parts.c */
	spinlock_t parts_lock;
	struct list_head parts[1 << DIVERT_PART_BITS];
	u32 part_seed;
	unsigned int part_count;
	struct delayed_work parts_old; /* removes what waits no longer */
};

struct divert_verdict;

/* What is given back. */
enum divert_bytes {
	DIVERT_AS_TAKEN, /* the packet, which goes on or is gone; or */
	DIVERT_REPLACED, /* with other bytes, maybe the same, in their place; or */
	DIVERT_OF_STUB,  /* another one, that is sent for it */
};

struct divert_sock {
	struct inet_sock inet; /* first; inet_sport: the port */
	struct hlist_node node;
	struct divert_ports *ports; /* of its network namespace */
	atomic_t bytes;             /* queued and kept */
	bool closed;                /* under the lock of sk_receive_queue */
	bool admin;                 /* M12: might, when it was made */
	bool hooked;                /* needs the hooks */
	u8 keep;                    /* M8 */
	u32 read;                   /* these three under pending_lock */
	struct list_head kept;
	struct divert_account account;
	atomic_t delivered;
	atomic_t dropped;
	atomic_t injected;
};

static inline struct divert_sock *divert_sk(const struct sock *sk)
{
	return (struct divert_sock *)sk;
}

/* sock.c */
extern struct proto divert_prot;

/* proto.c */
struct divert_ports *divert_ports(const struct net *net);
void divert_guard_again(void);

/* kept.c */
void divert_keep(struct sock *sk, struct sk_buff *skb, struct sockaddr_in *sin);
void divert_read_on(struct sock *sk);
int divert_send_kept(struct sock *sk, struct msghdr *msg, size_t len, u32 number);
void divert_kept_forget(struct divert_ports *ports, divert_needs *needs, int ifindex,
			struct list_head *gone);
void divert_kept_init(struct divert_sock *ds);
void divert_kept_exit(struct sock *sk);
int divert_settle_kept(struct sock *sk, const struct divert_verdict *verdict);

/* sockopt.c */
int divert_setsockopt(struct sock *sk, int level, int name, sockptr_t value, unsigned int len);
int divert_getsockopt(struct sock *sk, int level, int name, char __user *value, int __user *len);

/* complete.c */
struct sk_buff *divert_complete(struct sk_buff *skb, const struct nf_hook_state *state);

/* enqueue.c */
void divert_enqueue(struct divert_walk *w, const struct nf_hook_state *state);
void divert_leave_queue(struct sock *sk, unsigned int memory, unsigned int bytes);
void divert_uncharge(struct sock *sk, unsigned int memory); /* with bottom halves off */

/* hooks.c */
unsigned int divert_hook_in(void *priv, struct sk_buff *skb, const struct nf_hook_state *state);
unsigned int divert_hook_forward(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state);
unsigned int divert_hook_out(void *priv, struct sk_buff *skb, const struct nf_hook_state *state);
unsigned int divert_hook_copy(void *priv, struct sk_buff *skb, const struct nf_hook_state *state);
unsigned int divert_walk_again(struct divert_ports *ports, struct sk_buff *skb,
			       const struct nf_hook_state *state, u8 hook,
			       struct divert_mark *mark);

/* hook_register.c */
void divert_hooks_bridge(struct net *net);

/* bridge.c */
#if IS_ENABLED(CONFIG_BRIDGE_NETFILTER)
bool divert_is_bridged(const struct sk_buff *skb, const struct nf_hook_state *state);
void divert_bridge_hang(struct divert_ports *ports);
void divert_bridge_unhang(struct divert_ports *ports);
int divert_bridge_init(void);
void divert_bridge_exit(void);
#else
static inline bool divert_is_bridged(const struct sk_buff *skb, const struct nf_hook_state *state)
{
	return false;
}

static inline void divert_bridge_hang(struct divert_ports *ports)
{
}

static inline void divert_bridge_unhang(struct divert_ports *ports)
{
}

static inline int divert_bridge_init(void)
{
	return 0;
}

static inline void divert_bridge_exit(void)
{
}
#endif

/* hook_resume.c: what marks the module's functions among the others of a hook */
#define DIVERT_PLACE        ((void *)&divert_prot)
#define DIVERT_PLACE_SPARED ((void *)&divert_prot.name) /* bridge.c's */
bool divert_is_last(const struct nf_hook_state *state);
int divert_resume_at(struct sk_buff *skb, struct nf_hook_state *state);
int divert_resume_behind(struct sk_buff *skb, struct nf_hook_state *state, const void *place);

/* mark_carrier.c: T1, where a packet leaves its injector's hands; consumes it, 0 or an error */
int divert_go_on(struct sk_buff *skb, const struct nf_hook_state *state,
		 const struct divert_mark *mark, const void *place);
void divert_carry(struct sk_buff *skb, const struct divert_mark *mark);
bool divert_carried(struct sk_buff *skb, struct divert_mark *mark);
void divert_carriers_wait(void);

/* mark_parts.c, mark_loop.c: and where it is a datagram's part, or a copy for this host */
#define DIVERT_BY_CONNTRACK U32_MAX /* puts it together, not this module */
void divert_part_note(struct net *net, const struct sk_buff *skb, u32 user,
		      const struct divert_mark *mark);
bool divert_part_whole(struct net *net, const struct sk_buff *skb, u32 user,
		       struct divert_mark *mark);
void divert_parts_init(struct divert_ports *ports);
void divert_parts_exit(struct divert_ports *ports);
void divert_loop_mark(struct sk_buff *skb, const struct divert_mark *mark);
bool divert_loop_marked(const struct sk_buff *skb, struct divert_mark *mark);

static inline bool divert_has_ports(u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return true;
	}
	return false;
}

/* conntrack.c */
u32 divert_ends(const struct sk_buff *skb);
bool divert_is_unconfirmed(const struct sk_buff *skb);
bool divert_conntrack_again(struct sk_buff *skb, const struct nf_hook_state *state, bool changed);
bool divert_conntrack_is_there(const struct net *net);
bool divert_conntrack_gathers(const struct net *net);
unsigned int divert_most_unconfirmed(void);

/* packet.c */
int divert_packet_complete(struct sock *sk, struct sk_buff *skb);
int divert_packet_renew(struct sock *sk, struct sk_buff *skb);
int divert_packet_replace(struct sock *sk, struct sk_buff *skb, struct msghdr *msg, int len);
struct sk_buff *divert_packet_own(struct sk_buff *skb, gfp_t gfp);
struct sk_buff *divert_packet(struct sock *sk, struct msghdr *msg, int len, bool sent);

/* inject.c */
int divert_inject(struct sock *sk, struct msghdr *msg, size_t len, __be32 addr);
int divert_inject_again(struct sock *sk, struct sk_buff *skb, const struct divert_pending *p,
			enum divert_bytes bytes);
int divert_give_back(struct sock *sk, struct msghdr *msg, size_t len, struct divert_pending *p,
		     struct sk_buff *skb);

/* reinject.c: of a tagged packet; it is consumed if there is no error, and else as it was */
int divert_reenter(struct sock *sk, struct sk_buff *skb, const struct divert_pending *p,
		   enum divert_bytes bytes);

/* route.c */
struct rtable *divert_route(struct net *net, const struct sk_buff *skb, __be32 saddr, int oif,
			    u8 scope, kuid_t uid, const struct sock *sk);
void divert_route_looped(struct net *net, struct sk_buff *skb, struct net_device *dev);
struct rtable *divert_route_out(struct sock *sk, const struct sk_buff *skb, int flags);
bool divert_has_route(struct sk_buff *skb);

/* defrag.c */
int divert_gather_part(struct net *net, struct sk_buff *skb, struct divert_mark *mark);

/*
 * What comes to the input chain, with the mark that it has if it was injected, or NULL. A part of a
 * datagram waits for the others with always-defragment (F4), and behind the chain if connection
 * tracking puts it together. Returns 0 if skb is to be seen by the chain now; if it is a whole
 * datagram that it was a part of, *mark is that one's. Otherwise skb is gone.
 */
static inline int divert_gather(struct net *net, struct sk_buff *skb, struct divert_mark *mark)
{
	return likely(!ip_is_fragment(ip_hdr(skb))) ? 0 : divert_gather_part(net, skb, mark);
}

unsigned int divert_cut(struct sk_buff *skb, const struct nf_hook_state *state);

/* gso.c */
typedef unsigned int divert_walk_fn(struct divert_ports *ports, struct sk_buff *skb,
				    const struct nf_hook_state *state);
unsigned int divert_split(struct divert_ports *ports, struct sk_buff *skb,
			  const struct nf_hook_state *state, divert_walk_fn *walk);

/* hdrincl.c */
int divert_header_init(void);

#endif /* DIVERT_SOCKET_H */
