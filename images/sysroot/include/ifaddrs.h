/* SPDX-License-Identifier: GPL-2.0-only */
/* The interfaces' IPv4 addresses, as BSD has them; 2.2 lists none of an interface without an address. */
#ifndef _SYSROOT_IFADDRS_H
#define _SYSROOT_IFADDRS_H

#include <sys/cdefs.h>
#include <sys/socket.h>

__BEGIN_DECLS

struct ifaddrs {
	struct ifaddrs *ifa_next;
	char *ifa_name;
	unsigned int ifa_flags;		/* as SIOCGIFFLAGS has them */
	struct sockaddr *ifa_addr;
	struct sockaddr *ifa_netmask;
	union {
		struct sockaddr *ifu_broadaddr;
		struct sockaddr *ifu_dstaddr;
	} ifa_ifu;
	void *ifa_data;			/* always NULL */
};

#define ifa_broadaddr	ifa_ifu.ifu_broadaddr
#define ifa_dstaddr	ifa_ifu.ifu_dstaddr

/* 0; or -1 with errno, and then there is nothing to be freed. */
int getifaddrs(struct ifaddrs **);
void freeifaddrs(struct ifaddrs *) __THROW;

__END_DECLS

#endif
