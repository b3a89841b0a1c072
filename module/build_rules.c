// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rules half as one unit. Most of a small file's compilation is the network's
 * headers, and a packet's way through many files could not be inlined; so they
 * are compiled together, as kernel/sched/build_policy.c does it.
 */
#include "main.c"
#include "sysctl.c"
#include "chains.c"
#include "rules.c"
#include "target.c"
#include "count.c"
#include "look.c"
#include "effect.c"
#include "match.c"
#include "idle.c"
#include "log.c"
#include "netlink.c"
#include "sockopt.c"
#include "fwproc.c"
#include "files.c"
