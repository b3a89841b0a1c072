// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may inject what.
 */
#include <linux/jiffies.h>
#include <linux/ratelimit.h>
#include <net/sock.h>

#include "socket.h"

/*
 * M12: whether this socket may have that packet go there. As received, on a machine's own
 * interfaces, is for those who administrate its network; others may give back what
 * was taken there, from and to where it went. A tag that does not hold counts
 * as none (S6), but not many of them a second: then none is looked at for a while.
 */
int divert_check_right(struct sock *sk, const struct iphdr *iph, __be32 addr,
		       const struct divert_tag **tag)
{
	struct divert_ports *ports = divert_ports(sock_net(sk));
	bool admin = divert_sk(sk)->admin;
	bool bound = *tag && divert_tag_is_bound(*tag);

	if (bound && !admin && time_before(jiffies, READ_ONCE(ports->shut)))
		return -EPERM;
	if (bound && !divert_tag_holds(*tag, addr, iph)) {
		if (!admin && !__ratelimit(&ports->wrong))
			WRITE_ONCE(ports->shut, jiffies + HZ);
		if ((*tag)->known)
			return -EPERM;
		*tag = NULL;
		bound = false;
	}
	if (admin || bound)
		return 0;
	if (*tag)
		return ((*tag)->what & DIVERT_TAG_HOOK) == DIVERT_INPUT ? -EPERM : 0;
	return addr ? -EPERM : 0;
}
