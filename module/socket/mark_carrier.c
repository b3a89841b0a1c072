// SPDX-License-Identifier: GPL-2.0-only
/*
 * T1, on a packet's way through this host. Which port it was last injected through has to be
 * known at each chain that it meets, and a module has no field of its own in an skb. What was
 * chosen:
 *
 *	- As long as its injector is busy with it, it is on the injector's stack
 *	  (inject_ctx.c).
 *	- Where it may wait, in a netfilter queue behind PRE_ROUTING or in IPsec, for a
 *	  cipher on another processor, it has a destructor of ours, and the carrier is its
 *	  destructor's argument, as af_packet does it. The destructor it had is called
 *	  behind it.
 *	- A copy that is looped back to this host waits for another soft interrupt, and
 *	  loses its destructor there; but it keeps its route, which is one of its own
 *	  (mark_loop.c).
 *	- Parts that wait for others lose all of this, and have notes in a table
 *	  (mark_parts.c).
 *
 * Others were looked at: marks, secmark, napi_id, the end of cb, which are other people's
 * fields; extensions, whose kinds are fixed when a kernel is built; a table by the skb's
 * address, which another packet can have a moment later; a reserved destination
 * (metadata_dst), which routing replaces.
 *
 * It does not cover a packet that a netfilter queue's program makes longer than its buffer has
 * room for, which is another skb then: the port can take it once more.
 *
 * A carrier holds no module: when the hooks have gone, so have netfilter's queues been
 * emptied, and ciphers end.
 */
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <net/l3mdev.h>
#include <net/net_namespace.h>
#include <net/sock.h>

#include "socket.h"

struct carrier {
	struct divert_mark mark;
	int (*okfn)(struct net *net, struct sock *sk, struct sk_buff *skb);
	void (*destructor)(struct sk_buff *skb);
};

static atomic_t carriers; /* and those who use one just now */

/*
 * What comes behind PRE_ROUTING, where a netfilter queue's program has put another skb in the
 * place of the one with the carrier: ip_rcv_finish(), which is static. The only others are
 * br_netfilter's and VRF's, whose packets do not come here (divert_is_bridged(),
 * is_received_by_vrf()); so it is the same for all packets, and written before one can wait.
 */
static int (*behind_input)(struct net *net, struct sock *sk, struct sk_buff *skb);

static void one_less(void)
{
	if (atomic_dec_and_test(&carriers))
		wake_up_var(&carriers);
}

static void release(struct carrier *carrier)
{
	kfree(carrier);
	one_less();
}

/* The packet ends here, or is somebody else's now. */
static void carried_away(struct sk_buff *skb)
{
	struct carrier *carrier = skb_shinfo(skb)->destructor_arg;
	void (*destructor)(struct sk_buff *skb) = carrier->destructor;

	skb->destructor = destructor;
	release(carrier);
	if (destructor)
		destructor(skb);
}

static struct carrier *carrier_of(const struct sk_buff *skb)
{
	return skb->destructor == carried_away ? skb_shinfo(skb)->destructor_arg : NULL;
}

/*
 * Without memory it goes on without: better taken twice than lost. The argument says nothing of
 * whether it is in use: a new skb does not have it initialized. In what the module injects it is
 * nobody's, but for memory of a program's (zerocopy).
 */
static struct carrier *attach(struct sk_buff *skb, const struct divert_mark *mark)
{
	struct carrier *carrier = carrier_of(skb);

	if (carrier)
		goto mark;
	if (skb_zcopy(skb))
		return NULL;
	carrier = kmalloc(sizeof(*carrier), GFP_ATOMIC | __GFP_NOWARN);
	if (!carrier)
		return NULL;
	atomic_inc(&carriers);
	carrier->destructor = skb->destructor;
	skb->destructor = carried_away;
	skb_shinfo(skb)->destructor_arg = carrier;
mark:
	carrier->mark = *mark;
	carrier->mark.hook = 0;
	return carrier;
}

static void detach_carrier(struct sk_buff *skb)
{
	struct carrier *carrier = carrier_of(skb);

	if (!carrier)
		return;
	skb->destructor = carrier->destructor;
	release(carrier);
}

/* Behind PRE_ROUTING, maybe later, and in another task. Under RCU. */
static int received(struct net *net, struct sock *sk, struct sk_buff *skb)
{
	struct carrier *carrier = carrier_of(skb);
	struct divert_inject_ctx ctx = { .way = DIVERT_WAY_IN };
	int (*okfn)(struct net *net, struct sock *sk, struct sk_buff *skb);
	int ret;

	if (!carrier) /* another skb has taken its place */
		return READ_ONCE(behind_input)(net, sk, skb);
	atomic_inc(&carriers);
	ctx.mark = carrier->mark;
	okfn = carrier->okfn;
	detach_carrier(skb);
	local_bh_disable();
	divert_inject_begin(&ctx);
	ret = okfn(net, sk, skb);
	divert_inject_end(&ctx);
	local_bh_enable();
	one_less();
	return ret;
}

/* More of this hook's chains may come: what IPsec makes of it, or a VRF. */
static bool comes_again(const struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

#ifdef CONFIG_XFRM
	if (dst->xfrm)
		return true;
#endif
	return netif_is_l3_master(dst->dev);
}

/* It leaves this host's chains, unless it comes again. */
void divert_carry(struct sk_buff *skb, const struct divert_mark *mark)
{
	if (mark->port && comes_again(skb))
		attach(skb, mark);
}

/*
 * The packet has met the module's chains at this hook: on to the other functions there, and to
 * what comes behind the hook. In a ctx of the same mark.
 */
int divert_go_on(struct sk_buff *skb, const struct nf_hook_state *state,
		 const struct divert_mark *mark, const void *place)
{
	struct nf_hook_state rest = *state;
	struct carrier *carrier;
	int ret;

	if (!mark->port)
		goto on;
	if (state->hook == NF_INET_PRE_ROUTING && !divert_is_last(state)) {
		carrier = attach(skb, mark);
		if (carrier) {
			carrier->okfn = state->okfn;
			WRITE_ONCE(behind_input, state->okfn);
			rest.okfn = received;
		}
	} else if (state->hook != NF_INET_PRE_ROUTING) {
		divert_carry(skb, mark);
	}
on:
	ret = divert_resume_behind(skb, &rest, place);
	return ret == 1 ? rest.okfn(rest.net, rest.sk, skb) : ret;
}

/* The mark that this packet has had on its way; taken from it if this is its last hook. */
bool divert_carried(struct sk_buff *skb, struct divert_mark *mark)
{
	struct carrier *carrier = carrier_of(skb);

	if (likely(!carrier))
		return false;
	*mark = carrier->mark;
	if (!comes_again(skb))
		detach_carrier(skb);
	return true;
}

/* The hooks have gone. */
void divert_carriers_wait(void)
{
	wait_var_event(&carriers, !atomic_read(&carriers));
	synchronize_rcu();
}
