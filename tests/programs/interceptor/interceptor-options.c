/* SPDX-License-Identifier: GPL-2.0-only */
#include "interceptor.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#define AS_TEXT(value) #value
#define TEXT(value)    AS_TEXT(value)

struct options option = {
	.room = PACKET_MAX,
	.verbatim = 1,
#ifdef REINJECT
	.reinject = 1,
#endif
#ifdef FIREWALL
	.firewall = 1,
#endif
#ifdef MULTICAST
	.multicast = TEXT(MULTICAST), /* -DMULTICAST=192.0.2.1 */
#endif
};

void usage(void)
{
	fprintf(stderr,
		"usage: interceptor [OPTION]... PORT (a divert port, 1 to 65535)\n"
		"options: --reinject --firewall --multicast ADDRESS --json --count N --limit N\n"
		"         --buffer BYTES --patch OFFSET:HEX --to zero|ADDRESS --hold --idle\n");
	exit(USAGE);
}

static int add_patch(char *text)
{
	char *colon = strchr(text, ':');
	struct patch *patch = &option.patches[option.patch_count];
	long length;

	if (!colon || option.patch_count == PATCHES_MAX)
		return -1;
	*colon = '\0';
	length = hex_read(colon + 1, patch->bytes, sizeof(patch->bytes));
	if (length < 1 || number_read(text, 0, PACKET_MAX, &patch->offset) < 0)
		return -1;
	patch->length = (size_t)length;
	option.patch_count++;
	return 0;
}

void read_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "reinject", no_argument, NULL, 'r' },
		{ "firewall", no_argument, NULL, 'f' },
		{ "multicast", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "count", required_argument, NULL, 'c' },
		{ "limit", required_argument, NULL, 'l' },
		{ "buffer", required_argument, NULL, 'b' },
		{ "patch", required_argument, NULL, 'p' },
		{ "to", required_argument, NULL, 't' },
		{ "hold", no_argument, NULL, 'h' },
		{ "idle", no_argument, NULL, 'i' },
		{ NULL, 0, NULL, 0 },
	};
	struct in_addr address;
	int letter, bad = 0;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (letter) {
		case 'r':
			option.reinject = 1;
			break;
		case 'f':
			option.firewall = 1;
			break;
		case 'm':
			option.multicast = optarg;
			bad |= address_read(optarg, &address);
			break;
		case 'j':
			option.json = 1;
			break;
		case 'c':
			bad |= number_read(optarg, 1, 1000000000, &option.count);
			break;
		case 'l':
			bad |= number_read(optarg, 1, 1000000000, &option.guard);
			break;
		case 'b':
			bad |= number_read(optarg, 1, PACKET_MAX, &option.room);
			break;
		case 'p':
			bad |= add_patch(optarg);
			break;
		case 't':
			option.reinject = 1;
			option.verbatim = 0;
			if (strcmp(optarg, "zero") != 0)
				bad |= address_read(optarg, &option.to);
			break;
		case 'h':
			option.hold = 1;
			break;
		case 'i':
			option.idle = 1;
			break;
		default:
			bad = 1;
			break;
		}
	}
	if (bad || optind != argc - 1 || number_read(argv[optind], 1, 65535, &option.port) < 0)
		usage();
	if (option.multicast && address_read(option.multicast, &address) < 0)
		usage();
}
