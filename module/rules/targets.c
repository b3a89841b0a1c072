// SPDX-License-Identifier: GPL-2.0-only
/*
 * Targets by name. REDIRECT, MASQ and QUEUE are unknown, as to a 2.2 kernel
 * without transparent proxying and masquerading: their labels are those of no
 * chain (R5).
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "rules.h"

static const struct {
	const char *label;
	int target;
} targets[] = {
	{ "", FW_SKIP },
	{ IP_FW_LABEL_ACCEPT, FW_ACCEPT },
	{ IP_FW_LABEL_BLOCK, FW_BLOCK },
	{ IP_FW_LABEL_REJECT, FW_REJECT },
	{ IP_FW_LABEL_RETURN, FW_RETURN },
	{ IP_FW_LABEL_DIVERT, FW_DIVERT },
};

/* The label may lack its zero, and is no target then. */
bool fw_find_target(const char *label, int *target)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		if (strncmp(label, targets[i].label, sizeof(ip_chainlabel)))
			continue;
		*target = targets[i].target;
		return true;
	}
	return false;
}

const char *fw_target_name(const struct fw_chain *branch, int target)
{
	int i;

	if (branch)
		return branch->label;
	if (target == FW_SKIP)
		return "-";
	for (i = 0; i < ARRAY_SIZE(targets); i++)
		if (targets[i].target == target)
			return targets[i].label;
	return "UNKNOWN";
}
