/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels that the module builds for: each name here
 * means the same on all of them.
 */
#ifndef DIVERT_COMPAT_H
#define DIVERT_COMPAT_H

#include <linux/in_route.h>
#include <linux/ip.h>
#include <linux/net.h>
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/socket.h>
#include <linux/sysctl.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <net/inet_common.h>
#include <net/inet_dscp.h>
#include <net/inet_sock.h>
#include <net/lwtunnel.h>
#include <net/route.h>
#include <net/sock.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
#include <net/gso.h>
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* A struct proto's sendpage went away. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define DIVERT_SENDPAGE .sendpage = sock_no_sendpage,
#else
#define DIVERT_SENDPAGE
#endif

/* How a struct proto's ioctl answers: by a user's integer, then by one of the kernel's. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
typedef unsigned long divert_ioctl_arg;

static inline int divert_ioctl_answer(divert_ioctl_arg arg, int value)
{
	return put_user(value, (int __user *)arg);
}
#else
typedef int *divert_ioctl_arg;

static inline int divert_ioctl_answer(divert_ioctl_arg arg, int value)
{
	*arg = value;
	return 0;
}
#endif

/* inet_sock's flags became bits of one word. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define divert_has_header(sk) (inet_sk(sk)->hdrincl)
#else
#define divert_has_header(sk) inet_test_bit(HDRINCL, sk)
#endif

/* Connection tracking's answer became a verdict: whether the packet may go on. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define divert_ct_updated(answer) ((answer) >= 0)
#else
#define divert_ct_updated(answer) ((answer) == NF_ACCEPT)
#endif

/* Tables of sysctls got a length; before, an empty entry ends them. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define DIVERT_LAST_SYSCTL \
	{                  \
	}
#define divert_register_sysctl(net, path, table, count) register_net_sysctl(net, path, table)
#else
#define DIVERT_LAST_SYSCTL
#define divert_register_sysctl(net, path, table, count) \
	register_net_sysctl_sz(net, path, table, count)
#endif

/* Their handlers may not write to them any more. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
typedef struct ctl_table divert_ctl_table;
#else
typedef const struct ctl_table divert_ctl_table;
#endif

/*
 * What of the TOS field routes are chosen by, as the kernel's own packets have
 * it in flowi4_init_output(): since 6.12 all of DSCP, which `ip rule` can name.
 */
static inline u8 divert_route_tos(u8 tos)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
	return RT_TOS(tos);
#else
	return tos & INET_DSCP_MASK;
#endif
}

/*
 * The same for what was received: 0, or why there is no route. From 6.13 on it
 * takes a dscp_t, which a TOS field with bits of ECN would pass for unnoticed.
 */
static inline int divert_route_input(struct sk_buff *skb, const struct iphdr *iph,
				     struct net_device *dev)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	return ip_route_input_noref(skb, iph->daddr, iph->saddr, iph->tos, dev);
#else
	return ip_route_input_noref(skb, iph->daddr, iph->saddr, inet_dsfield_to_dscp(iph->tos),
				    dev);
#endif
}

/*
 * A route as another is, to be changed. The kernel's own rt_dst_clone() is no
 * longer for modules (6.12 has it, 7.2 has not); what it is made of is.
 */
static inline struct rtable *divert_route_copy(const struct rtable *rt)
{
	struct rtable *copy =
		rt_dst_alloc(rt->dst.dev, rt->rt_flags, rt->rt_type, rt->dst.flags & DST_NOXFRM);

	if (!copy)
		return NULL;
	copy->dst.flags |= rt->dst.flags & DST_NOPOLICY;
	copy->dst.input = rt->dst.input;
	copy->dst.output = rt->dst.output;
	copy->dst.error = rt->dst.error;
	copy->dst.lwtstate = lwtstate_get(rt->dst.lwtstate);
	copy->rt_is_input = rt->rt_is_input;
	copy->rt_uses_gateway = rt->rt_uses_gateway;
	copy->rt_iif = rt->rt_iif;
	copy->rt_gw_family = rt->rt_gw_family;
	copy->rt_gw6 = rt->rt_gw6; /* the larger of the two */
	copy->rt_mtu_locked = rt->rt_mtu_locked;
	copy->rt_pmtu = rt->rt_pmtu;
	return copy;
}

/* It may change under whoever reads it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
#define divert_uid(sk) READ_ONCE((sk)->sk_uid)
#else
#define divert_uid(sk) sk_uid(sk)
#endif

/* What a struct proto's bind gets. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
typedef struct sockaddr divert_sockaddr;
#else
typedef struct sockaddr_unsized divert_sockaddr;
#endif

/* Its recvmsg had a last parameter for the length of the name; then that is in msg. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 1, 0)
#define DIVERT_NAME_LENGTH                  , int *addr_len
#define divert_set_name_length(msg, length) (*addr_len = (length))
#define divert_recv_error(sk, msg, length)  inet_recv_error(sk, msg, length, addr_len)
#else
#define DIVERT_NAME_LENGTH
#define divert_set_name_length(msg, length) ((msg)->msg_namelen = (length))
#define divert_recv_error(sk, msg, length)  inet_recv_error(sk, msg, length)
#endif

#endif /* DIVERT_COMPAT_H */
