// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/net/ip_fwchains and ip_fwnames in 2.2's format, of the reader's network
 * namespace, so that ipchains lists, saves and restores. As in 2.2 a position
 * counts records, and rules that are read through a descriptor that may write
 * begin to count anew. And divert_stat, a counter a line.
 */
#include <linux/fs.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/seq_file_net.h>

#include "rules.h"

#define PROC_STAT "divert_stat"

/* Rules: what is shown is a rule, and its chain. */

struct fw_seq {
	struct seq_net_private net;
	struct fw_chain *chain;
};

static void *rule_from(struct fw_table *table, struct fw_seq *at, loff_t pos)
{
	struct fw_rule *rule;

	list_for_each_entry(at->chain, &table->chains, list)
		list_for_each_entry(rule, &at->chain->rules, list)
			if (!pos--)
				return rule;
	return NULL;
}

static void *chains_start(struct seq_file *seq, loff_t *pos)
{
	struct fw_table *table = fw_table(seq_file_net(seq));

	mutex_lock(&table->lock);
	return rule_from(table, seq->private, *pos);
}

static void *chains_next(struct seq_file *seq, void *v, loff_t *pos)
{
	struct fw_table *table = fw_table(seq_file_net(seq));
	struct fw_seq *at = seq->private;
	struct fw_rule *rule = v;

	++*pos;
	if (!list_is_last(&rule->list, &at->chain->rules))
		return list_next_entry(rule, list);
	while (!list_is_last(&at->chain->list, &table->chains)) {
		at->chain = list_next_entry(at->chain, list);
		if (!list_empty(&at->chain->rules))
			return list_first_entry(&at->chain->rules, struct fw_rule, list);
	}
	return NULL;
}

static void table_stop(struct seq_file *seq, void *v)
{
	mutex_unlock(&fw_table(seq_file_net(seq))->lock);
}

static int chains_show(struct seq_file *seq, void *v)
{
	const struct fw_seq *at = seq->private;
	struct fw_rule *rule = v;
	const struct ip_fw *fw = &rule->fw;
	struct fw_sum sum = fw_rule_sum(rule);

	seq_printf(seq, "%9s %08X/%08X->%08X/%08X %.16s %X %X %u ", at->chain->label,
		   ntohl(fw->fw_src.s_addr), ntohl(fw->fw_smsk.s_addr), ntohl(fw->fw_dst.s_addr),
		   ntohl(fw->fw_dmsk.s_addr), fw->fw_vianame[0] ? fw->fw_vianame : "-", fw->fw_flg,
		   fw->fw_invflg, fw->fw_proto);
	seq_printf(seq, "%-9u %-9u %-9u %-9u ", upper_32_bits(sum.packets),
		   lower_32_bits(sum.packets), upper_32_bits(sum.bytes), lower_32_bits(sum.bytes));
	seq_printf(seq, "%u-%u %u-%u A%02X X%02X %08X %u %u %9s\n", fw->fw_spts[0], fw->fw_spts[1],
		   fw->fw_dpts[0], fw->fw_dpts[1], fw->fw_tosand, fw->fw_tosxor, fw->fw_redirpt,
		   fw->fw_mark, fw->fw_outputsize, fw_target_name(rule->branch, rule->target));
	if (seq->file->f_mode & FMODE_WRITE && !seq_has_overflowed(seq))
		fw_rule_zero(rule);
	return 0;
}

static const struct seq_operations chains_ops = {
	.start = chains_start,
	.next = chains_next,
	.stop = table_stop,
	.show = chains_show,
};

/* Chains. */

static void *names_start(struct seq_file *seq, loff_t *pos)
{
	struct fw_table *table = fw_table(seq_file_net(seq));

	mutex_lock(&table->lock);
	return seq_list_start(&table->chains, *pos);
}

static void *names_next(struct seq_file *seq, void *v, loff_t *pos)
{
	return seq_list_next(v, &fw_table(seq_file_net(seq))->chains, pos);
}

static int names_show(struct seq_file *seq, void *v)
{
	const struct fw_chain *chain = list_entry(v, struct fw_chain, list);
	struct fw_sum sum = fw_count_sum(chain->count);

	seq_printf(seq, "%s %s %u %u %u %u %u\n", chain->label, fw_target_name(NULL, chain->policy),
		   chain->refs, upper_32_bits(sum.packets), lower_32_bits(sum.packets),
		   upper_32_bits(sum.bytes), lower_32_bits(sum.bytes));
	return 0;
}

static const struct seq_operations names_ops = {
	.start = names_start,
	.next = names_next,
	.stop = table_stop,
	.show = names_show,
};

/* What /proc/net/divert has no place for, whose format is the reference's (S11). */
static int stat_show(struct seq_file *seq, void *v)
{
	struct divert_net *dn = divert_net(seq_file_single_net(seq));

	seq_printf(seq, "over-budget %u\n", atomic_read(&dn->over));
	return 0;
}

/* As 2.2's files they can be opened for writing, and not written. */
static int refuse(struct file *file, char *data, size_t size)
{
	return -EINVAL;
}

int fw_proc_init(struct net *net)
{
	if (!proc_create_net_data_write(IP_FW_PROC_CHAINS, 0600, net->proc_net, &chains_ops, refuse,
					sizeof(struct fw_seq), NULL))
		return -ENOMEM;
	if (!proc_create_net_data_write(IP_FW_PROC_CHAIN_NAMES, 0600, net->proc_net, &names_ops,
					refuse, sizeof(struct seq_net_private), NULL))
		goto no_names;
	if (!proc_create_net_single(PROC_STAT, 0444, net->proc_net, stat_show, NULL))
		goto no_stat;
	return 0;

no_stat:
	remove_proc_entry(IP_FW_PROC_CHAIN_NAMES, net->proc_net);
no_names:
	remove_proc_entry(IP_FW_PROC_CHAINS, net->proc_net);
	return -ENOMEM;
}

void fw_proc_exit(struct net *net)
{
	remove_proc_entry(PROC_STAT, net->proc_net);
	remove_proc_entry(IP_FW_PROC_CHAIN_NAMES, net->proc_net);
	remove_proc_entry(IP_FW_PROC_CHAINS, net->proc_net);
}
