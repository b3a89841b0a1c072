// SPDX-License-Identifier: GPL-2.0-only
/*
 * A packet that was taken re-enters the hook that it was taken from (T3), and goes on through the
 * code behind that hook as what it was (I2).
 *
 * Its route, and its connection, are its own, unless a program has changed what they
 * depend on; then they are looked for anew, with the keys that it had otherwise.
 */
#include <linux/icmp.h>
#include <linux/inetdevice.h>
#include <linux/netdevice.h>
#include <net/icmp.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>

#include "reinject.h"

static void compare(struct divert_reentry *r, const struct sk_buff *skb)
{
	const struct divert_pending *p = r->p;
	const struct iphdr *iph = ip_hdr(skb);
	bool elsewhere = iph->saddr != p->saddr || iph->daddr != p->daddr;

	r->rerouted = elsewhere || iph->tos != p->tos;
	r->retracked = elsewhere || iph->protocol != p->protocol || divert_ends(skb) != p->ends;
}

/*
 * Our chains once more, then all that is behind them. Changed, it is tracked anew first: another
 * program may take it at the next rule, and its connection is what that one is given.
 */
int divert_reentry_go_on(struct divert_reentry *r, struct sk_buff *skb)
{
	if (r->retracked && !divert_conntrack_again(skb, &r->state, true))
		goto drop;
	switch (divert_walk_again(divert_sk(r->sk)->ports, skb, &r->state, r->p->hook, &r->mark)) {
	case NF_ACCEPT:
		break;
	case NF_DROP:
		goto drop;
	default:
		return 0; /* taken by the next program */
	}
	if (unlikely(skb_get_nfct(skb)) && !divert_conntrack_again(skb, &r->state, false))
		goto drop;
	return divert_go_on(skb, &r->state, &r->mark, r->p->place);

drop:
	kfree_skb(skb);
	return -EPERM;
}

/* The interface that it came by. What was taken on output needs it no more to be up. */
static int find_device(struct divert_reentry *r)
{
	r->dev = dev_get_by_index_rcu(sock_net(r->sk), r->p->in);
	if (!r->dev)
		return -ESTALE;
	return r->dev->flags & IFF_UP || r->told ? 0 : -ENETDOWN;
}

/* Input. */

static void input(struct divert_reentry *r, struct sk_buff *skb)
{
	struct divert_inject_ctx ctx = { .way = DIVERT_WAY_IN };
	struct net *net = sock_net(r->sk);
	struct net_device *dev = r->dev;

	skb->dev = dev;
	if (!r->whole) {
		skb_orphan(skb);
		skb_reset_mac_header(skb);
	}
	skb_reset_mac_len(skb);
	/* A route that it came with: of the loopback, or of a copy of what this host sent. */
	if (r->p->routed && (r->rerouted || !divert_has_route(skb))) {
		skb_dst_drop(skb);
		divert_route_looped(net, skb, dev);
	}
	r->state.in = dev;
	if (divert_gather(net, skb, &r->mark))
		return;
	ctx.mark = r->mark;
	ctx.mark.hook = 0;
	divert_inject_begin(&ctx);
	divert_reentry_go_on(r, skb);
	divert_inject_end(&ctx);
}

/* Whose look-up it was: with no sender the network namespace's. */
static kuid_t uid_of(const struct divert_reentry *r)
{
	return uid_valid(r->p->uid) ? r->p->uid : sock_net_uid(sock_net(r->sk), NULL);
}

int divert_reentry_route(struct divert_reentry *r, struct sk_buff *skb, __be32 saddr, int oif)
{
	struct sock *sender = r->whole ? r->p->sender : r->sk;
	struct rtable *rt;

	rt = divert_route(sock_net(r->sk), skb, saddr, oif, RT_SCOPE_UNIVERSE, uid_of(r),
			  sender && sk_fullsock(sender) ? sender : NULL);
	if (IS_ERR(rt))
		return PTR_ERR(rt);
	skb_dst_drop(skb);
	skb_dst_set(skb, &rt->dst);
	return 0;
}

/* It may not be cut, and has to be: its sender is told, who waits for that if it is TCP. */
bool divert_reentry_too_big(struct sk_buff *skb, unsigned int mtu)
{
	if (skb->len <= mtu || !(ip_hdr(skb)->frag_off & htons(IP_DF)))
		return false;
	icmp_send(skb, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, htonl(mtu));
	return true;
}

/* What this host sends. */

/* Whether it had gone the way that it went if nobody had named a source, and from where it came. */
static bool source_was_chosen(const struct divert_reentry *r, int oif)
{
	const struct divert_pending *p = r->p;
	const __be16 *ends = (const __be16 *)&p->ends;
	bool ports = divert_has_ports(p->protocol);
	struct flowi4 fl4;
	struct rtable *rt;
	bool chosen;

	if (p->source == SOURCE_IS_KEY)
		return false;

	flowi4_init_output(&fl4, oif, p->mark, divert_route_tos(p->tos), RT_SCOPE_UNIVERSE,
			   p->protocol, FLOWI_FLAG_ANYSRC, p->daddr, 0, ports ? ends[1] : 0,
			   ports ? ends[0] : 0, uid_of(r));
	rt = __ip_route_output_key(sock_net(r->sk), &fl4);
	if (IS_ERR(rt))
		return false;
	chosen = rt->dst.dev->ifindex == p->out &&
		 (p->source == SOURCE_OF_HEADER || fl4.saddr == p->saddr);
	ip_rt_put(rt);
	return chosen;
}

/*
 * I2: the source that its way is looked up by, or none, as its sender's look-up had it. One that
 * a program has put there counts if it is this host's (I8).
 */
static __be32 source_of(const struct divert_reentry *r, const struct sk_buff *skb, int oif)
{
	__be32 saddr = ip_hdr(skb)->saddr;

	if (saddr != r->p->saddr)
		return __ip_dev_find(sock_net(r->sk), saddr, false) ? saddr : 0;
	return source_was_chosen(r, oif) ? 0 : saddr;
}

/* By its destination; a group by the interface that it had. */
static int route_sent(struct divert_reentry *r, struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);
	int oif = r->p->oif;
	__be32 saddr;

	if (ipv4_is_multicast(iph->daddr) || ipv4_is_lbcast(iph->daddr))
		oif = r->p->out;
	saddr = source_of(r, skb, r->p->oif);
	if (ipv4_is_multicast(saddr) || ipv4_is_lbcast(saddr) || ipv4_is_zeronet(saddr))
		saddr = 0;
	return divert_reentry_route(r, skb, saddr, oif);
}

static int sent(struct divert_reentry *r, struct sk_buff *skb)
{
	struct divert_inject_ctx ctx = {
		.way = DIVERT_WAY_OUT,
		.left = true,
		.mark = r->mark,
		.skb = skb,
	};
	int err;

	if (r->rerouted || !divert_has_route(skb)) {
		err = route_sent(r, skb);
		if (err)
			goto drop;
	}
	skb->dev = skb_dst(skb)->dev;
	err = -EMSGSIZE;
	if (divert_reentry_too_big(skb, dst_mtu(skb_dst(skb))))
		goto drop;
	skb->tstamp = 0;
	r->state.out = skb->dev;
	r->state.sk = r->whole ? r->p->sender : r->sk;
	divert_inject_begin(&ctx);
	err = divert_reentry_go_on(r, skb);
	divert_inject_end(&ctx);
	return err;

drop:
	kfree_skb(skb);
	return err;
}

/* Whose sender is told what becomes of it. Consumes it. */
static int tell(struct divert_reentry *r, struct sk_buff *skb)
{
	bool own = r->p->nf_hook == NF_INET_LOCAL_OUT;
	struct sock *owner = r->whole ? r->p->owner : r->sk;
	int err;

	if (own && owner)
		skb_set_owner_w(skb, owner);
	err = own ? sent(r, skb) : divert_reinject_forward(r, skb);
	return err > 0 ? net_xmit_errno(err) : err;
}

/*
 * It goes in a copy: its route, too, and all that it has may be others by the time that there is an
 * error, after which everything is to be as before.
 */
static int try(struct divert_reentry *r, struct sk_buff *skb)
{
	struct sk_buff *copy = skb_clone(skb, GFP_ATOMIC | __GFP_NOWARN);
	int err;

	if (!copy)
		return -ENOBUFS;
	err = tell(r, copy);
	if (!err)
		consume_skb(skb);
	return err;
}

/*
 * Returns 0, or an error, and then skb is as it was; but what goes on as it was taken is gone then.
 * Under RCU, with bottom halves off.
 */
int divert_reenter(struct sock *sk, struct sk_buff *skb, const struct divert_pending *p,
		   enum divert_bytes bytes)
{
	__attribute__((__uninitialized__)) struct divert_reentry r;
	int err = 0;

	r.sk = sk;
	r.p = p;
	r.dev = NULL;
	r.whole = bytes != DIVERT_OF_STUB;
	r.told = p->hook == DIVERT_OUTPUT || p->mroute;
	r.rerouted = false;
	r.retracked = false;
	r.mark.rule = p->rule;
	r.mark.port = ntohs(inet_sk(sk)->inet_sport);
	r.mark.hook = p->hook;
	if (p->nf_hook != NF_INET_LOCAL_OUT)
		err = find_device(&r);
	if (err) {
		if (bytes == DIVERT_AS_TAKEN)
			kfree_skb(skb);
		return err;
	}
	nf_hook_state_init(&r.state, p->nf_hook, NFPROTO_IPV4, NULL, NULL, NULL, sock_net(sk),
			   p->okfn);
	if (bytes != DIVERT_AS_TAKEN)
		compare(&r, skb);
	if (r.told)
		return bytes == DIVERT_AS_TAKEN ? tell(&r, skb) : try(&r, skb);
	if (p->nf_hook == NF_INET_PRE_ROUTING)
		input(&r, skb);
	else
		divert_reinject_forward(&r, skb);
	return 0;
}
