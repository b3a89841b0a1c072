// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/divert (S11), of the reader's network namespace, in the very
 * format of the reference kernel.
 */
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>

#include "socket.h"

/* A position: 0 is the head, then the buckets, then the last line. */
#define DIVERT_LAST ((1 << DIVERT_HASH_BITS) + 1)

static void *divert_seq_start(struct seq_file *seq, loff_t *pos)
{
	return *pos > DIVERT_LAST ? NULL : pos;
}

static void *divert_seq_next(struct seq_file *seq, void *v, loff_t *pos)
{
	return ++*pos > DIVERT_LAST ? NULL : pos;
}

static void divert_seq_stop(struct seq_file *seq, void *v)
{
}

static void divert_seq_socket(struct seq_file *seq, struct divert_sock *ds)
{
	seq_printf(seq, "%5u %10u %10u %10u %10u\n", ntohs(ds->inet.inet_sport),
		   atomic_read(&ds->bytes), atomic_read(&ds->delivered), atomic_read(&ds->dropped),
		   atomic_read(&ds->injected));
}

static int divert_seq_show(struct seq_file *seq, void *v)
{
	struct divert_ports *ports = divert_ports(seq_file_net(seq));
	loff_t pos = *(loff_t *)v;
	struct divert_sock *ds;

	if (pos == 0) {
		seq_printf(seq, "%5s %10s %10s %10s %10s\n", "port", "queued", "delivered",
			   "dropped", "injected");
	} else if (pos == DIVERT_LAST) {
		seq_printf(seq, "no-listener %u\n", atomic_read(&ports->nobody));
	} else {
		rcu_read_lock();
		hlist_for_each_entry_rcu(ds, &ports->table[pos - 1], node)
			divert_seq_socket(seq, ds);
		rcu_read_unlock();
	}
	return 0;
}

static const struct seq_operations divert_seq_ops = {
	.start = divert_seq_start,
	.next = divert_seq_next,
	.stop = divert_seq_stop,
	.show = divert_seq_show,
};

int divert_proc_init(struct net *net)
{
	if (!proc_create_net("divert", 0444, net->proc_net, &divert_seq_ops,
			     sizeof(struct seq_net_private)))
		return -ENOMEM;
	return 0;
}

void divert_proc_exit(struct net *net)
{
	remove_proc_entry("divert", net->proc_net);
}
