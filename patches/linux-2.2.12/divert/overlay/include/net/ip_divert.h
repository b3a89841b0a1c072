/* SPDX-License-Identifier: GPL-2.0-only */
/*
 *	Divert sockets: a firewall rule hands whole IP packets to a program,
 *	which may change them and put them back.
 *
 *	The hooks in existing files call what is declared here. Without
 *	CONFIG_IP_DIVERT all of it is empty and the compiler leaves nothing
 *	behind (O2). Statement numbers (S1, T3, ...) are those of the
 *	project's SPEC.md.
 */
#ifndef _NET_IP_DIVERT_H
#define _NET_IP_DIVERT_H

#include <linux/config.h>
#include <linux/types.h>
#include <linux/errno.h>
#include <linux/in.h>
#include <linux/skbuff.h>
#include <linux/firewall.h>

struct sock;
struct proto;
struct msghdr;
struct iphdr;
struct rtable;
struct ipcm_cookie;
struct ip_fw;

extern struct proto raw_prot;

/* The hooks, as kept in skb->divert.hook. */
#define DIVERT_INPUT	1
#define DIVERT_FORWARD	2
#define DIVERT_OUTPUT	3

/*
 *	The code that a packet goes through to the forward and the output hook,
 *	as kept in skb->divert.way. 0: its route tells.
 */
#define DIVERT_WAY_SENT		1	/* By this host			*/
#define DIVERT_WAY_SENT_NOLOOP	2	/* ... with IP_MULTICAST_LOOP off */
#define DIVERT_WAY_FORWARDED	3	/* ip_forward()			*/
#define DIVERT_WAY_MROUTE	4	/* ipmr_queue_xmit()		*/
#define DIVERT_WAY_MTUNNEL	5	/* ... before one of its tunnels */

#ifdef CONFIG_IP_DIVERT

/* F4, F5: what always-defragment adds where divert sockets are. */
#if defined(CONFIG_IP_ALWAYS_DEFRAG) || defined(CONFIG_IP_TRANSPARENT_PROXY)
#define DIVERT_DEFRAG	1
#else
#define DIVERT_DEFRAG	0
#endif

/* Part of every firewall rule: a name that no other rule had before. */
struct divert_rule
{
	__u32	id;
};

/* One walk of a packet through the chains of one hook. */
struct divert_walk
{
	struct sk_buff	*skb;		/* NULL: a test by IP_FW_CHECK	*/
	struct sock	*sk;		/* Who listens, or NULL		*/
	__u32		rule;		/* Place where the packet was taken,
					 * before or now		*/
	unsigned char	hook;
	unsigned char	state;
#define DIVERT_LIVE	0		/* An ordinary walk, or past the rule */
#define DIVERT_AT_RULE	1		/* T3: at the rule that took it	*/
#define DIVERT_QUIET	2		/* T3: not yet come by that rule */
};

extern void divert_init(void);
extern struct proto *divert_proto(int protocol);

extern int divert_label(const char *label);
extern int divert_rule_init(struct divert_rule *rule, const struct ip_fw *fw,
			    int target);
extern void divert_walk_begin(struct divert_walk *w, struct sk_buff *skb,
			      int hook);
extern int divert_pass_packet(struct divert_walk *w,
			      const struct divert_rule *rule, __u32 path,
			      const struct ip_fw *fw);
extern int divert_verdict(struct divert_walk *w, int verdict,
			  struct iphdr *ip, const char *rif);

extern int divert_build_xmit(struct sock *sk,
			     int getfrag(const void *, char *,
					 unsigned int, unsigned int),
			     const void *frag, unsigned length,
			     struct ipcm_cookie *ipc, struct rtable *rt,
			     int flags);
extern int divert_large_error(struct iphdr *iph, unsigned length);
extern int divert_fragment(struct sk_buff *skb);

static __inline__ int divert_defrag(void)
{
	return DIVERT_DEFRAG;
}

/*
 *	F4: where ip_options_fragment() begins. In 2.2.12 that is the header,
 *	of which it makes options: the type of service is the first one's
 *	length. With always-defragment all large datagrams come by there. A
 *	macro: the header's size is known only where it is used.
 */
#define divert_options(skb)						\
	((skb)->nh.raw + (DIVERT_DEFRAG ? sizeof(struct iphdr) : 0))

static __inline__ int divert_target(int target)
{
	return target == FW_DIVERT;
}

static __inline__ const char *divert_branchname(int target)
{
	return target == FW_DIVERT ? "DIVERT" : "UNKNOWN";
}

/* R3: what IP_FW_CHECK answers; no other verdict uses EREMOTE. */
static __inline__ int divert_check_errno(int verdict)
{
	return verdict == FW_DIVERT ? EREMOTE : ETIMEDOUT;
}

static __inline__ __u32 divert_mix(__u32 h, __u32 word)
{
	h = (h ^ word) * 0x9e3779b1;
	return h ^ (h >> 15);
}

#define DIVERT_RULE_MASK	0xffffff

/*
 *	T3: a place in the walk. A user-defined chain can be reached twice, so
 *	the way to it (0: a built-in chain) is part of the name.
 */
static __inline__ __u32 divert_place(const struct divert_rule *rule, __u32 path)
{
	return (rule->id + path) & DIVERT_RULE_MASK;
}

/*
 *	T3: called for every rule that the walk comes by, matching or not.
 *	Coming by is enough: a packet that the program has rewritten often
 *	does not match that rule any more, and the rules after it have to
 *	see it all the same. A macro: the path is seldom needed.
 */
#define divert_come_by(w, r, path)					\
do {									\
	if ((w)->state == DIVERT_AT_RULE)				\
		(w)->state = DIVERT_LIVE;				\
	else if ((w)->state == DIVERT_QUIET &&				\
		 divert_place(r, path) == (w)->rule)			\
		(w)->state = DIVERT_AT_RULE;				\
} while (0)

/*
 *	T3, T1, P2: true if what has matched goes on as if the rule had no
 *	target. In a test by IP_FW_CHECK a DIVERT target is always the verdict
 *	(R3). A macro, as the path must not be asked for then: a test may begin
 *	in a user-defined chain and come to it again, and the way back from
 *	there has no end.
 */
#define divert_pass_over(w, r, path, fw, target)			\
	((target) == FW_DIVERT && (w)->skb &&				\
	 divert_pass_packet(w, r, path, fw))

/* T3: true where a match must have no side effect. */
static __inline__ int divert_quiet(const struct divert_walk *w)
{
	return w->state != DIVERT_LIVE;
}

/* skb->divert: a new buffer has none, a copy has that of its original. */
static __inline__ void divert_forget(struct sk_buff *skb)
{
	skb->divert.rule = 0;
	skb->divert.port = 0;
	skb->divert.hook = 0;
	skb->divert.way = 0;
}

/* Tells multicast routing's packets from this host's own. */
static __inline__ void divert_mroute(struct sk_buff *skb, int tunnel)
{
	skb->divert.way = tunnel ? DIVERT_WAY_MTUNNEL : DIVERT_WAY_MROUTE;
}

/*
 *	T1: so is what multicast routing's tunnel puts round it; the options are
 *	the inner one's. A macro: the buffer of options is known only where it
 *	is used.
 */
#define divert_encap(skb)						\
do {									\
	divert_forget(skb);						\
	memset(&IPCB(skb)->opt, 0, sizeof(IPCB(skb)->opt));		\
} while (0)

static __inline__ void divert_copy(struct sk_buff *to,
				   const struct sk_buff *from)
{
	to->divert = from->divert;
}

/* T1: reassembled, a datagram keeps only what all of its parts share. */
static __inline__ void divert_glue(struct sk_buff *skb,
				   const struct sk_buff *part, int first)
{
	if (first)
		skb->divert = part->divert;
	if (skb->divert.port != part->divert.port)
		skb->divert.port = 0;
	if (skb->divert.hook != part->divert.hook ||
	    skb->divert.rule != part->divert.rule)
		skb->divert.hook = 0;
}

/* T3, closing table: forwarded once already, the TTL is not lowered again. */
static __inline__ int divert_forwarded(const struct sk_buff *skb)
{
	return skb->divert.hook == DIVERT_FORWARD;
}

#else /* !CONFIG_IP_DIVERT */

/*
 *	Macros, not inline functions: even an argument that is evaluated for
 *	nothing moves the registers of ip_fw_check(), and O2 asks for the same
 *	object code.
 */
struct divert_rule { };
struct divert_walk { };

#define divert_init()				do { } while (0)
#define divert_proto(protocol)			(&raw_prot)

#define divert_label(label)			0
#define divert_target(target)			0
#define divert_branchname(target)		"UNKNOWN"
#define divert_check_errno(verdict)		ETIMEDOUT
#define divert_rule_init(rule, fw, target)	0
#define divert_walk_begin(w, skb, hook)		do { (void)(w); } while (0)
#define divert_come_by(w, rule, path)		do { } while (0)
#define divert_quiet(w)				0
#define divert_pass_over(w, rule, path, fw, target)	0
#define divert_verdict(w, verdict, ip, rif)	(verdict)

#define divert_defrag()				0
#define divert_options(skb)			((skb)->nh.raw)
#define divert_build_xmit(sk, getfrag, frag, length, ipc, rt, flags)	0
#define divert_large_error(iph, length)		0
#define divert_fragment(skb)			0

#define divert_forget(skb)			do { } while (0)
#define divert_mroute(skb, tunnel)		do { } while (0)
#define divert_encap(skb)			do { } while (0)
#define divert_copy(to, from)			do { } while (0)
#define divert_glue(skb, part, first)		do { } while (0)
#define divert_forwarded(skb)			0

#endif /* CONFIG_IP_DIVERT */

/* T1: a packet's way through this host ends when an interface sends it. */
#define divert_sent(skb)			divert_forget(skb)

/* T1: what a tunnel takes out of a packet is another one. */
#define divert_decap(skb)			divert_forget(skb)

#endif /* _NET_IP_DIVERT_H */
