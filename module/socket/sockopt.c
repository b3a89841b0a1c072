// SPDX-License-Identifier: GPL-2.0-only
/*
 * The socket's own options (M8).
 */
#include <net/ip.h>
#include <net/sock.h>

#include <linux/divert.h>

#include "socket.h"

static int set_keep(struct sock *sk, sockptr_t value, unsigned int len)
{
	int keep;

	if (len < sizeof(keep))
		return -EINVAL;
	if (copy_from_sockptr(&keep, value, sizeof(keep)))
		return -EFAULT;
	if (keep < 0 || keep > DIVERT_READ)
		return -EINVAL;
	WRITE_ONCE(divert_sk(sk)->keep, keep);
	if (!keep)
		divert_kept_exit(sk);
	return 0;
}

static int set_verdict(struct sock *sk, sockptr_t value, unsigned int len)
{
	struct divert_verdict verdict;

	if (len != sizeof(verdict))
		return -EINVAL;
	if (copy_from_sockptr(&verdict, value, sizeof(verdict)))
		return -EFAULT;
	if (verdict.verdict > DIVERT_ACCEPT || (s32)(verdict.last - verdict.first) < 0)
		return -EINVAL;
	return divert_settle_kept(sk, &verdict);
}

int divert_setsockopt(struct sock *sk, int level, int name, sockptr_t value, unsigned int len)
{
	if (level != SOL_DIVERT)
		return ip_setsockopt(sk, level, name, value, len);
	switch (name) {
	case DIVERT_KEEP:
		return set_keep(sk, value, len);
	case DIVERT_VERDICT:
		return set_verdict(sk, value, len);
	}
	return -ENOPROTOOPT;
}

int divert_getsockopt(struct sock *sk, int level, int name, char __user *value, int __user *len)
{
	int room, keep = READ_ONCE(divert_sk(sk)->keep);

	if (level != SOL_DIVERT)
		return ip_getsockopt(sk, level, name, value, len);
	if (name != DIVERT_KEEP)
		return -ENOPROTOOPT;
	if (get_user(room, len))
		return -EFAULT;
	if (room < (int)sizeof(keep))
		return -EINVAL;
	if (put_user((int)sizeof(keep), len) || put_user(keep, (int __user *)value))
		return -EFAULT;
	return 0;
}
