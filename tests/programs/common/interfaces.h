/* SPDX-License-Identifier: GPL-2.0-only */
/* Network interfaces of the caller's network namespace, by ioctls on any socket. */
#ifndef INTERFACES_H
#define INTERFACES_H

#include <net/if.h>

/* A request about an interface. Returns 0, or -1 for a name that is too long. */
int interface_request(struct ifreq *request, const char *interface);

/* Its number, or -1 with errno. */
int interface_index(int fd, const char *interface);

/* Sets or clears a flag (IFF_UP). Returns 0, or -1 with errno. */
int interface_flag(int fd, const char *interface, int flag, int on);

/* A feature by the name that ethtool -k has for it. Returns 0, or -1 with errno; ENOENT if there is no such feature. */
int interface_feature(int fd, const char *interface, const char *name, int on);

#endif
