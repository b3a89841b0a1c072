// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of rules with IP_FW_F_PRN, in 2.2's words: one line a packet.
 */
#include <linux/ip.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <net/ip.h>
#include <net/net_namespace.h>
#include <net/netfilter/nf_log.h>

#include "rules.h"

#define LINE 400

/* The log is the host's: as for netfilter's, others are silent by default. */
static bool may_log(const struct net *net)
{
	return net_eq(net, &init_net) || sysctl_nf_log_all_netns;
}

/*
 * M12: rules may be another's, and packets anybody's. How many lines were left out, the
 * kernel says itself. True if this one may be written.
 */
#define LINES_A_SECOND 50

static bool has_room(const struct net *net)
{
	return may_log(net) && __ratelimit(&divert_net(net)->log);
}

void fw_log_init(struct divert_net *dn)
{
	ratelimit_state_init(&dn->log, HZ, LINES_A_SECOND);
}

static int add_options(char *line, int at, const struct iphdr *ip, unsigned int len)
{
	const u32 *option = (const u32 *)(ip + 1);
	int i;

	for (i = 5; i < ip->ihl && (i + 1) * 4 <= len; i++)
		at += scnprintf(line + at, LINE - at, " O=0x%8.8X", *option++);
	return at;
}

static int add_packet(char *line, int at, const struct fw_dissected *dissected,
		      const struct iphdr *ip, unsigned int len)
{
	at += scnprintf(line + at, LINE - at,
			"%s PROTO=%d %pI4:%u %pI4:%u L=%u S=0x%2.2X I=%u F=0x%4.4X T=%u",
			dissected->ifname, ip->protocol, &ip->saddr, dissected->sport, &ip->daddr,
			dissected->dport, ntohs(ip->tot_len), ip->tos, ntohs(ip->id),
			ntohs(ip->frag_off), ip->ttl);
	return add_options(line, at, ip, len);
}

void fw_log(const struct net *net, const struct fw_dissected *dissected, const struct iphdr *ip,
	    unsigned int len, const struct fw_chain *chain, const struct fw_rule *rule,
	    unsigned int number)
{
	char line[LINE];
	int at;

	if (!has_room(net))
		return;
	at = scnprintf(line, LINE, "%s %s ", chain->label,
		       fw_target_name(rule->branch, rule->target));
	if (!rule->branch && rule->target == FW_DIVERT)
		at += scnprintf(line + at, LINE - at, "%u ", rule->fw.fw_redirpt);
	add_packet(line, at, dissected, ip, len);
	pr_info("Packet log: %s %s(#%u)\n", line, dissected->syn ? "SYN " : "", number);
}

/* M12: at most once a second, of all that is dropped for it. */
void fw_log_over(const struct net *net, const struct fw_dissected *dissected,
		 const struct iphdr *ip, unsigned int len)
{
	static DEFINE_RATELIMIT_STATE(once, HZ, 1);
	char line[LINE];

	if (!may_log(net) || !__ratelimit(&once))
		return;
	add_packet(line, 0, dissected, ip, len);
	pr_warn("divert: dropped, as its walk through the chains is longer than net.ipv4.divert.walk_budget: %s\n",
		line);
}

void fw_log_suspect(const struct net *net, const struct fw_dissected *dissected,
		    const struct iphdr *ip, unsigned int len)
{
	char line[LINE];

	if (!has_room(net))
		return;
	add_packet(line, 0, dissected, ip, len);
	pr_warn("Suspect %s fragment.\n", dissected->suspect);
	pr_warn("%s (#0)\n", line);
}
