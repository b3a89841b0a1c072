/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Three networks of a user's own: the one in which all calls are made, and at each of its interfaces another that sends
 * to it and through it. Behind the second is also a tunnel.
 */
#ifndef FUZZ_NETWORKS_H
#define FUZZ_NETWORKS_H

#define SIDES         2
#define BEHIND_TUNNEL "203.0.113.9"

struct side {
	const char *name, *far_name, *address, *far_address;
	int network; /* a descriptor of the far one */
	int udp;     /* a socket there, which sends several datagrams by one call */
};

extern struct side sides[SIDES];
extern int control; /* a socket for ioctls */

/* Each ends the program if it fails. */
void make_networks(void);
void connect_side(unsigned int side);
void disconnect_side(unsigned int side);

#endif
