/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is firewall.h what the patched kernel's linux/ip_fw.h says (SPEC R4), and do that header and the C
 * library's go into one program (SPEC X5)? The compiler answers; the program only says that it did.
 */
#include "../common/firewall.h"

#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <linux/types.h>
#include <linux/icmp.h>
#include <linux/ip_fw.h>
#include <stddef.h>
#include <stdio.h>

#define SAME_SIZE(ours, theirs) \
	_Static_assert(sizeof(struct ours) == sizeof(struct theirs), #ours " against " #theirs)
#define SAME_PLACE(ours, our_field, theirs, their_field)                                         \
	_Static_assert(offsetof(struct ours, our_field) == offsetof(struct theirs, their_field), \
		       #our_field " against " #their_field)

SAME_SIZE(firewall_match, ip_fw);
SAME_SIZE(firewall_rule, ip_fwuser);
SAME_SIZE(firewall_change, ip_fwchange);
SAME_SIZE(firewall_numbered, ip_fwnew);
SAME_PLACE(firewall_match, source, ip_fw, fw_src);
SAME_PLACE(firewall_match, destination_mask, ip_fw, fw_dmsk);
SAME_PLACE(firewall_match, mark, ip_fw, fw_mark);
SAME_PLACE(firewall_match, protocol, ip_fw, fw_proto);
SAME_PLACE(firewall_match, flags, ip_fw, fw_flg);
SAME_PLACE(firewall_match, inverted, ip_fw, fw_invflg);
SAME_PLACE(firewall_match, source_ports, ip_fw, fw_spts);
SAME_PLACE(firewall_match, destination_ports, ip_fw, fw_dpts);
SAME_PLACE(firewall_match, port, ip_fw, fw_redirpt);
SAME_PLACE(firewall_match, netlink_size, ip_fw, fw_outputsize);
SAME_PLACE(firewall_match, interface, ip_fw, fw_vianame);
SAME_PLACE(firewall_match, tos_and, ip_fw, fw_tosand);
SAME_PLACE(firewall_rule, target, ip_fwuser, label);
SAME_PLACE(firewall_change, chain, ip_fwchange, fwc_label);
SAME_PLACE(firewall_numbered, rule, ip_fwnew, fwn_rule);
SAME_PLACE(firewall_numbered, chain, ip_fwnew, fwn_label);
_Static_assert(FIREWALL_APPEND == IP_FW_APPEND && FIREWALL_DELETE == IP_FW_DELETE &&
		       FIREWALL_POLICY == IP_FW_POLICY,
	       "the options' numbers");

int main(void)
{
	printf("the firewall's structures are those of linux/ip_fw.h; the target is %s\n",
	       IP_FW_LABEL_DIVERT);
	return 0;
}
