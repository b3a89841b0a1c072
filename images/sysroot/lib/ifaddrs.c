/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The addresses of the interfaces as BSD lists them, by the calls that 2.2 has: SIOCGIFCONF, which knows
 * of IPv4 addresses and of aliases, and asks no privilege.
 */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One allocation for each: what its pointers point to lies behind it. */
struct entry {
	struct ifaddrs head;
	char name[IFNAMSIZ];
	struct sockaddr address, mask, other;
};

static int ask(int fd, unsigned long what, const char *name, struct ifreq *answer)
{
	memset(answer, 0, sizeof(*answer));
	memcpy(answer->ifr_name, name, IFNAMSIZ);
	return ioctl(fd, what, answer);
}

static struct sockaddr *kept(int fd, unsigned long what, const char *name, struct sockaddr *place)
{
	struct ifreq answer;

	if (ask(fd, what, name, &answer) < 0)
		return NULL;
	*place = answer.ifr_addr;
	return place;
}

static struct entry *made(int fd, const struct ifreq *row)
{
	struct entry *new = calloc(1, sizeof(*new));
	struct ifreq flags;

	if (!new)
		return NULL;
	memcpy(new->name, row->ifr_name, IFNAMSIZ);
	new->address = row->ifr_addr;
	new->head.ifa_name = new->name;
	new->head.ifa_addr = &new->address;
	/* One that has gone meanwhile has no flags any more. */
	if (ask(fd, SIOCGIFFLAGS, new->name, &flags) == 0)
		new->head.ifa_flags = (unsigned short)flags.ifr_flags;
	new->head.ifa_netmask = kept(fd, SIOCGIFNETMASK, new->name, &new->mask);
	if (new->head.ifa_flags & IFF_POINTOPOINT)
		new->head.ifa_dstaddr = kept(fd, SIOCGIFDSTADDR, new->name, &new->other);
	else if (new->head.ifa_flags & IFF_BROADCAST)
		new->head.ifa_broadaddr = kept(fd, SIOCGIFBRDADDR, new->name, &new->other);
	return new;
}

/* All rows, in memory that the caller frees; a buffer that is filled may have been too small. */
static struct ifreq *rows(int fd, size_t *count)
{
	struct ifconf asked;
	size_t room = 16;

	for (;; room *= 2) {
		struct ifreq *found = malloc(room * sizeof(*found));

		if (!found)
			return NULL;
		asked.ifc_len = (int)(room * sizeof(*found));
		asked.ifc_req = found;
		if (ioctl(fd, SIOCGIFCONF, &asked) < 0) {
			free(found);
			return NULL;
		}
		*count = (size_t)asked.ifc_len / sizeof(*found);
		if (*count < room)
			return found;
		free(found);
	}
}

int getifaddrs(struct ifaddrs **list)
{
	struct ifaddrs *first = NULL, **next = &first;
	struct ifreq *found = NULL;
	size_t count = 0, i;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), failed, error;

	failed = fd < 0 || !(found = rows(fd, &count));
	for (i = 0; !failed && i < count; i++) {
		struct entry *new = made(fd, &found[i]);

		failed = !new;
		if (new) {
			*next = &new->head;
			next = &new->head.ifa_next;
		}
	}
	error = errno;
	free(found);
	if (fd >= 0)
		close(fd);
	if (failed) {
		freeifaddrs(first);
		errno = error;
		return -1;
	}
	*list = first;
	return 0;
}

void freeifaddrs(struct ifaddrs *list)
{
	while (list) {
		struct ifaddrs *next = list->ifa_next;

		free(list);
		list = next;
	}
}
