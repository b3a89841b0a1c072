/* SPDX-License-Identifier: GPL-2.0-only */
/* The network namespaces of a user's own, in which the program fuzz plays. */
#define _GNU_SOURCE
#include "fuzz-networks.h"
#include "fuzz.h"
#include "../common/interfaces.h"
#include "../common/namespaces.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UDP_SEGMENT 103
#define SEGMENT     500 /* bytes */

struct side sides[SIDES] = {
	{ "eth1", "far1", "192.0.2.1", "192.0.2.2", -1, -1 },
	{ "eth2", "far2", "198.51.100.1", "198.51.100.2", -1, -1 },
};
int control;
static int own_network, links;

static int network(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY);

	if (fd < 0)
		fatal("/proc/self/ns/net");
	return fd;
}

static int new_network(void)
{
	if (syscall(UNSHARE, NEW_NETWORK) < 0)
		fatal("unshare");
	return network();
}

static void enter(int fd)
{
	if (syscall(SETNS, fd, NEW_NETWORK) < 0)
		fatal("setns");
}

/* Netlink: a message is put together in a buffer; an attribute that has others ends with end_of(). */

#define NEW_LINK     16
#define DELETE_LINK  17
#define FLAGS_NEW    0x605 /* request, ack, exclusive, create */
#define FLAGS_DELETE 0x5   /* request, ack */
enum { NAME = 3, INFO = 18, OF_NETWORK = 28, KIND = 1, DATA = 2, PEER = 1, LOCAL = 2, REMOTE = 3 };

static union {
	unsigned char bytes[512];
	uint32_t head[4];
} message;
static size_t message_end;

static void begin_message(uint16_t kind, uint16_t flags, int interface)
{
	memset(&message, 0, sizeof(message));
	message_end = 16 + 16;
	memcpy(message.bytes + 4, &kind, 2);
	memcpy(message.bytes + 6, &flags, 2);
	memcpy(message.bytes + 20, &interface, 4);
}

static size_t attribute(uint16_t kind, const void *data, size_t length)
{
	size_t at = message_end;
	uint16_t size = (uint16_t)(4 + length);

	memcpy(message.bytes + at, &size, 2);
	memcpy(message.bytes + at + 2, &kind, 2);
	if (data)
		memcpy(message.bytes + at + 4, data, length);
	message_end += (4 + length + 3) & ~(size_t)3;
	return at;
}

static void end_of(size_t at)
{
	uint16_t size = (uint16_t)(message_end - at);

	memcpy(message.bytes + at, &size, 2);
}

/* Returns the kernel's errno, or 0. */
static int ask(void)
{
	unsigned char reply[512];
	int error;

	message.head[0] = (uint32_t)message_end;
	if (send(links, &message, message_end, 0) < 0 || recv(links, reply, sizeof(reply), 0) < 20)
		fatal("netlink");
	memcpy(&error, reply + 16, 4);
	return -error;
}

static void make_pair(unsigned int side)
{
	size_t info, data, peer;

	begin_message(NEW_LINK, FLAGS_NEW, 0);
	attribute(NAME, sides[side].name, strlen(sides[side].name) + 1);
	info = attribute(INFO, NULL, 0);
	attribute(KIND, "veth", 5);
	data = attribute(DATA, NULL, 0);
	peer = attribute(PEER, NULL, 16);
	attribute(NAME, sides[side].far_name, strlen(sides[side].far_name) + 1);
	attribute(OF_NETWORK, &sides[side].network, 4);
	end_of(peer);
	end_of(data);
	end_of(info);
	errno = ask();
	if (errno)
		fatal("an interface");
}

static void make_tunnel(int socket, const char *local, const char *remote)
{
	struct in_addr from, to;
	size_t info, data;
	int before = links;

	inet_aton(local, &from);
	inet_aton(remote, &to);
	links = socket;
	begin_message(NEW_LINK, FLAGS_NEW, 0);
	attribute(NAME, "tunnel", 7);
	info = attribute(INFO, NULL, 0);
	attribute(KIND, "ipip", 5);
	data = attribute(DATA, NULL, 0);
	attribute(LOCAL, &from, 4);
	attribute(REMOTE, &to, 4);
	end_of(data);
	end_of(info);
	errno = ask();
	links = before;
	if (errno)
		fatal("a tunnel");
}

static void address(int fd, const char *interface, const char *text, unsigned long request_number)
{
	struct ifreq request;
	struct sockaddr_in at;

	memset(&at, 0, sizeof(at));
	at.sin_family = AF_INET;
	inet_aton(text, &at.sin_addr);
	interface_request(&request, interface);
	memcpy(&request.ifr_addr, &at, sizeof(at));
	if (ioctl(fd, request_number, &request) < 0)
		fatal(interface);
}

static void up(int fd, const char *interface, const char *own, const char *far)
{
	address(fd, interface, own, SIOCSIFADDR);
	if (far)
		address(fd, interface, far, SIOCSIFDSTADDR);
	else
		address(fd, interface, "255.255.255.0", SIOCSIFNETMASK);
	if (interface_flag(fd, interface, IFF_UP, 1) < 0)
		fatal(interface);
}

static void default_route(int fd, const char *gateway)
{
	struct rtentry route;
	struct sockaddr_in at;

	memset(&route, 0, sizeof(route));
	memset(&at, 0, sizeof(at));
	at.sin_family = AF_INET;
	memcpy(&route.rt_dst, &at, sizeof(at));
	memcpy(&route.rt_genmask, &at, sizeof(at));
	inet_aton(gateway, &at.sin_addr);
	memcpy(&route.rt_gateway, &at, sizeof(at));
	route.rt_flags = RTF_UP | RTF_GATEWAY;
	if (ioctl(fd, SIOCADDRT, &route) < 0)
		fatal("a route");
}

/* Both ends of a side, as they are at first. The tunnel goes with the second of them. */
void connect_side(unsigned int side)
{
	int size = SEGMENT, fd, far_links;

	make_pair(side);
	up(control, sides[side].name, sides[side].address, NULL);
	if (side)
		make_tunnel(links, sides[side].address, sides[side].far_address);
	if (side)
		up(control, "tunnel", "203.0.113.1", "203.0.113.9");
	enter(sides[side].network);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	far_links = socket(AF_NETLINK, SOCK_RAW, 0);
	if (fd < 0 || far_links < 0)
		fatal("socket");
	up(fd, sides[side].far_name, sides[side].far_address, NULL);
	if (side)
		make_tunnel(far_links, sides[side].far_address, sides[side].address);
	if (side)
		up(fd, "tunnel", "203.0.113.9", "203.0.113.1");
	default_route(fd, sides[side].address);
	if (setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0)
		fatal("UDP_SEGMENT");
	close(far_links);
	close(sides[side].udp);
	sides[side].udp = fd;
	enter(own_network);
}

/* 0, or the kernel's errno. */
static int delete(int fd, const char *interface)
{
	int index = interface_index(fd, interface);

	if (index < 0)
		return errno;
	begin_message(DELETE_LINK, FLAGS_DELETE, index);
	return ask();
}

void disconnect_side(unsigned int side)
{
	int before = links;

	if (side) {
		/* Each would be in the way of the next. */
		delete(control, "tunnel");
		enter(sides[side].network);
		links = socket(AF_NETLINK, SOCK_RAW, 0);
		delete(sides[side].udp, "tunnel");
		close(links);
		links = before;
		enter(own_network);
	}
	errno = delete(control, sides[side].name);
	if (errno)
		fatal(sides[side].name);
}

void make_networks(void)
{
	unsigned int i;

	for (i = 0; i < SIDES; i++)
		sides[i].network = new_network();
	own_network = new_network();
	links = socket(AF_NETLINK, SOCK_RAW, 0);
	control = socket(AF_INET, SOCK_DGRAM, 0);
	if (links < 0 || control < 0)
		fatal("socket");
	if (interface_flag(control, "lo", IFF_UP, 1) < 0)
		fatal("lo");
	for (i = 0; i < SIDES; i++)
		connect_side(i);
}
