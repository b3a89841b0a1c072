/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * divert-inject: sends packets on a divert socket, each with the address it is told to give, and says
 * in one line of JSON a packet what the kernel answered. Packets are `ADDRESS HEX` pairs, as arguments
 * or one a line on standard input. ADDRESS is `none`, `null:LENGTH`, `zero`, `A.B.C.D` (rest zeroed),
 * or any other of values.h: in:A.B.C.D:PORT:HEX puts rubbish into sin_port and sin_zero, hex:... is
 * taken as it is, so that a tag can be given back, or a length or family be wrong.
 */
#include "../common/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int divert_socket;

static void usage(void)
{
	fprintf(stderr, "usage: divert-inject [--port N | --unbound] [ADDRESS HEX]...\n");
	exit(1);
}

static void fail(const char *what)
{
	int error = errno;

	printf("{\"call\":\"%s\",\"error\":\"%s\"}\n", what, errno_name(error));
	fprintf(stderr, "divert-inject: %s: %s (%s)\n", what, strerror(error), errno_name(error));
	exit(2);
}

static void read_address(const char *word, struct address *address)
{
	char longer[64];

	if (strcmp(word, "zero") == 0)
		word = "0.0.0.0";
	if (strchr(word, '.') && !strchr(word, ':') && strlen(word) < 16) {
		snprintf(longer, sizeof(longer), "in:%s:0", word);
		word = longer;
	}
	if (value_address(word, address, NULL) < 0)
		usage();
}

static void inject(const char *address_word, const char *hex)
{
	static unsigned char packet[VALUE_MAX];
	struct address to;
	long length, sent;

	read_address(address_word, &to);
	length = hex_read(hex, packet, sizeof(packet));
	if (length < 0)
		usage();
	sent = sendto(divert_socket, packet, (size_t)length, 0,
		      to.is_null ? NULL : (void *)to.bytes, to.length);
	if (sent < 0)
		printf("{\"error\":\"%s\"}\n", errno_name(errno));
	else
		printf("{\"sent\":%ld}\n", sent);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static char line[2 * VALUE_MAX + 256];
	struct sockaddr_in address;
	unsigned long port = 0;
	int bound = 1, at = 1;

	if (at < argc && strcmp(argv[at], "--unbound") == 0) {
		bound = 0;
		at++;
	} else if (at < argc && strcmp(argv[at], "--port") == 0) {
		if (at + 1 == argc || number_read(argv[at + 1], 0, 65535, &port) < 0)
			usage();
		at += 2;
	}
	if ((argc - at) % 2)
		usage();

	divert_socket = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (divert_socket < 0)
		fail("socket");
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)port);
	if (bound && bind(divert_socket, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");

	if (at < argc) {
		for (; at < argc; at += 2)
			inject(argv[at], argv[at + 1]);
		return 0;
	}
	while (fgets(line, sizeof(line), stdin)) {
		char *word = strtok(line, " \t\r\n");
		char *hex = strtok(NULL, " \t\r\n");

		if (word && strtok(NULL, " \t\r\n"))
			usage();
		if (word)
			inject(word, hex ? hex : "");
	}
	return 0;
}
