// SPDX-License-Identifier: GPL-2.0-only
/*
 * The sockets half as one unit, for the reasons in build_rules.c.
 */
#include "proto.c"
#include "flight.c"
#include "tag.c"
#include "sock.c"
#include "keep.c"
#include "held.c"
#include "take.c"
#include "resume.c"
#include "whole.c"
#include "bridge.c"
#include "hooks.c"
#include "onward.c"
#include "packet.c"
#include "right.c"
#include "inject.c"
#include "header.c"
#include "proc.c"
