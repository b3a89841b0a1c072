// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters of packets and bytes, one pair a processor.
 */
#include <linux/bottom_half.h>
#include <linux/slab.h>

#include "rules.h"

struct fw_count __percpu *fw_count_alloc(void)
{
	struct fw_count __percpu *count;
	int cpu;

	count = alloc_percpu_gfp(struct fw_count, GFP_KERNEL_ACCOUNT);
	if (count)
		for_each_possible_cpu(cpu)
			u64_stats_init(&per_cpu_ptr(count, cpu)->syncp);
	return count;
}

struct fw_sum fw_count_sum(const struct fw_count __percpu *count)
{
	struct fw_sum sum = { 0 };
	unsigned int start;
	u64 packets, bytes;
	int cpu;

	/* So that nothing on this processor counts between. */
	local_bh_disable();
	for_each_possible_cpu(cpu) {
		const struct fw_count *there = per_cpu_ptr(count, cpu);

		do {
			start = u64_stats_fetch_begin(&there->syncp);
			packets = u64_stats_read(&there->packets);
			bytes = u64_stats_read(&there->bytes);
		} while (u64_stats_fetch_retry(&there->syncp, start));
		sum.packets += packets;
		sum.bytes += bytes;
	}
	local_bh_enable();
	return sum;
}

struct fw_sum fw_rule_sum(const struct fw_rule *rule)
{
	struct fw_sum sum = fw_count_sum(rule->count);

	sum.packets -= rule->zero.packets;
	sum.bytes -= rule->zero.bytes;
	return sum;
}

/* No other processor's counter can be written: what it says now is the zero. */
void fw_rule_zero(struct fw_rule *rule)
{
	rule->zero = fw_count_sum(rule->count);
}
