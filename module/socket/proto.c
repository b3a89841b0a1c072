// SPDX-License-Identifier: GPL-2.0-only
/*
 * The protocol: its number, its place among the raw sockets, its state in each
 * network namespace.
 */
#include <linux/module.h>
#include <linux/net.h>
#include <net/inet_common.h>
#include <net/netns/generic.h>
#include <net/protocol.h>
#include <net/sock.h>

#include "socket.h"

static unsigned int divert_ports_id __read_mostly;

struct divert_ports *divert_ports(const struct net *net)
{
	return net_generic(net, divert_ports_id);
}

/* Refused as before: see guard_protosw. */
static int guard_init_sock(struct sock *sk)
{
	return -EPROTONOSUPPORT;
}

static int guard_hash(struct sock *sk)
{
	return 0;
}

static void guard_unhash(struct sock *sk)
{
}

static void guard_close(struct sock *sk, long timeout)
{
	sk_common_release(sk);
}

static struct proto guard_prot = {
	.name = "DIVERT-GUARD",
	.owner = THIS_MODULE,
	.close = guard_close,
	.init = guard_init_sock,
	.hash = guard_hash,
	.unhash = guard_unhash,
	.obj_size = sizeof(struct inet_sock),
};

static const struct proto_ops divert_ops = { .family = PF_INET,
					     .owner = THIS_MODULE,
					     .release = inet_release,
					     .bind = inet_bind,
					     .connect = sock_no_connect,
					     .socketpair = sock_no_socketpair,
					     .accept = sock_no_accept,
					     .getname = inet_getname,
					     .poll = datagram_poll,
					     .ioctl = inet_ioctl,
					     .gettstamp = sock_gettstamp,
					     .listen = sock_no_listen,
					     .shutdown = inet_shutdown,
					     .setsockopt = sock_common_setsockopt,
					     .getsockopt = sock_common_getsockopt,
					     .sendmsg = inet_sendmsg,
					     .recvmsg = inet_recvmsg,
					     .mmap = sock_no_mmap,
					     DIVERT_SENDPAGE };

static struct inet_protosw divert_protosw = {
	.type = SOCK_RAW,
	.protocol = IPPROTO_DIVERT,
	.prot = &divert_prot,
	.ops = &divert_ops,
	.flags = INET_PROTOSW_REUSE,
};

/*
 * socket(AF_INET, SOCK_RAW, 0) asks for the first entry of the table, which
 * would now be a divert socket; raw sockets have none, and it is refused. So
 * this entry is put before ours: its number is no protocol's, and it refuses.
 */
static struct inet_protosw guard_protosw = {
	.type = SOCK_RAW,
	.protocol = 0x7fff,
	.prot = &guard_prot,
	.ops = &divert_ops,
	.flags = INET_PROTOSW_REUSE,
};

/* When another entry has come, this is the first again. */
void divert_guard_again(void)
{
	inet_unregister_protosw(&guard_protosw);
	inet_register_protosw(&guard_protosw);
}

static int __net_init divert_net_init(struct net *net)
{
	struct divert_ports *ports = divert_ports(net);
	int i;

	spin_lock_init(&ports->lock);
	for (i = 0; i < 1 << DIVERT_HASH_BITS; i++)
		INIT_HLIST_HEAD(&ports->table[i]);
	ports->rover = 32767;
	ports->net = net;
	ports->chains = fw_table(net);
	ports->limits = divert_limits(net);
	divert_pending_net_init(net);
	divert_parts_init(ports);
	return 0;
}

static void __net_exit divert_net_exit(struct net *net)
{
	divert_pending_net_exit(net);
	divert_parts_exit(divert_ports(net));
}

static struct pernet_operations divert_net_ops = {
	.init = divert_net_init,
	.exit = divert_net_exit,
	.id = &divert_ports_id,
	.size = sizeof(struct divert_ports),
};

int __init divert_sock_init(void)
{
	int err;

	divert_mem_init();
	err = register_pernet_subsys(&divert_net_ops);
	if (err)
		return err;
	err = divert_pending_init();
	if (err)
		goto no_pending;
	err = proto_register(&divert_prot, 1);
	if (err)
		goto no_proto;
	err = proto_register(&guard_prot, 1);
	if (err)
		goto no_guard;
	inet_register_protosw(&divert_protosw);
	err = divert_header_init();
	if (err)
		goto no_header;
	/* Last, so that it is the first of the table. */
	inet_register_protosw(&guard_protosw);
	return 0;

no_header:
	inet_unregister_protosw(&divert_protosw);
	proto_unregister(&guard_prot);
no_guard:
	proto_unregister(&divert_prot);
no_proto:
	divert_pending_exit();
no_pending:
	unregister_pernet_subsys(&divert_net_ops);
	return err;
}

void divert_sock_exit(void)
{
	inet_unregister_protosw(&guard_protosw);
	inet_unregister_protosw(&divert_protosw);
	proto_unregister(&guard_prot);
	proto_unregister(&divert_prot);
	divert_carriers_wait();
	divert_pending_exit();
	unregister_pernet_subsys(&divert_net_ops);
}
