/* SPDX-License-Identifier: GPL-2.0-only */
#include "interfaces.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* linux/ethtool.h, as far as it is needed here: the guest's headers may be older. */
#define SIOCETHTOOL_ 0x8946
#define GET_NAMES    0x1b
#define GET_COUNT    0x37
#define SET_FEATURES 0x3b
#define OF_FEATURES  4
#define NAME_BYTES   32
#define WORDS        8

struct names {
	uint32_t command, set, count;
	char name[][NAME_BYTES];
};

int interface_request(struct ifreq *request, const char *interface)
{
	memset(request, 0, sizeof(*request));
	if (strlen(interface) >= sizeof(request->ifr_name))
		return -1;
	strcpy(request->ifr_name, interface);
	return 0;
}

int interface_index(int fd, const char *interface)
{
	struct ifreq request;

	interface_request(&request, interface);
	return ioctl(fd, 0x8933 /* SIOCGIFINDEX */, &request) < 0 ? -1 : request.ifr_ifindex;
}

int interface_flag(int fd, const char *interface, int flag, int on)
{
	struct ifreq request;

	interface_request(&request, interface);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -1;
	request.ifr_flags = (short)(request.ifr_flags & ~flag);
	if (on)
		request.ifr_flags = (short)(request.ifr_flags | flag);
	return ioctl(fd, SIOCSIFFLAGS, &request);
}

static int ethtool(int fd, const char *interface, void *data)
{
	struct ifreq request;

	interface_request(&request, interface);
	request.ifr_data = data;
	return ioctl(fd, SIOCETHTOOL_, &request);
}

/* The features of interfaces by their names, whose numbers differ from kernel to kernel. */
static struct names *feature_names(int fd, const char *interface)
{
	struct {
		uint32_t command, reserved;
		uint64_t sets;
		uint32_t count;
	} info = {
		GET_COUNT,
		0,
		1 << OF_FEATURES,
		0,
	};
	struct names *names;

	if (ethtool(fd, interface, &info) < 0)
		return NULL;
	names = calloc(1, sizeof(*names) + (size_t)info.count * NAME_BYTES);
	if (!names)
		return NULL;
	names->command = GET_NAMES;
	names->set = OF_FEATURES;
	names->count = info.count;
	if (ethtool(fd, interface, names) >= 0)
		return names;
	free(names);
	return NULL;
}

int interface_feature(int fd, const char *interface, const char *name, int on)
{
	struct {
		uint32_t command, words;
		struct {
			uint32_t valid, wanted;
		} word[WORDS];
	} change;
	struct names *names = feature_names(fd, interface);
	uint32_t i;

	if (!names)
		return -1;
	for (i = 0; i < names->count; i++)
		if (strncmp(names->name[i], name, NAME_BYTES) == 0)
			break;
	memset(&change, 0, sizeof(change));
	change.command = SET_FEATURES;
	change.words = (names->count + 31) / 32;
	if (i == names->count || i >= 32 * WORDS) {
		free(names);
		errno = ENOENT;
		return -1;
	}
	free(names);
	change.word[i / 32].valid = (uint32_t)1 << i % 32;
	if (on)
		change.word[i / 32].wanted = (uint32_t)1 << i % 32;
	return ethtool(fd, interface, &change);
}
