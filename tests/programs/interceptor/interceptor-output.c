/* SPDX-License-Identifier: GPL-2.0-only */
#include "interceptor.h"

#include <errno.h>
#include <string.h>

#define SHOWN 40

unsigned long failures;

/* A rule's target that the kernel does not know is answered as a file that is not there. */
static const char *reason(const char *call, int error)
{
	if (error == ENOENT && strstr(call, "IP_FW_"))
		return "No target by that name: this kernel has no divert sockets";
	return strerror(error);
}

void failed(const char *call)
{
	int error = errno;

	failures++;
	if (option.json) {
		printf("{\"event\":\"error\",\"call\":\"%s\",\"error\":\"%s\",\"message\":", call,
		       errno_name(error));
		json_string(stdout, reason(call, error));
		printf("}\n");
		fflush(stdout);
	} else {
		fprintf(stderr, "interceptor: %s: %s (%s)\n", call, reason(call, error),
			errno_name(error));
	}
}

static void show_people(const struct packet *packet)
{
	const unsigned char *ip = packet->bytes;
	size_t i;

	printf("packet %lu: %lu bytes\n ", packet->number, (unsigned long)packet->length);
	for (i = 0; i < packet->length && i < SHOWN; i++)
		printf("%s%02x", i && i % 20 == 0 ? "\n  " : " ", ip[i]);
	if (packet->length >= 20)
		printf("\n  source %d.%d.%d.%d, destination %d.%d.%d.%d", ip[12], ip[13], ip[14],
		       ip[15], ip[16], ip[17], ip[18], ip[19]);
	printf("\n  interface %s", address_text(packet->from.sin_addr));
	if (packet->length >= 20)
		printf(", protocol %d", ip[9]);
	printf("\n");
}

/* Leaves the object open: what became of the packet is still to come. */
static void show_json(const struct packet *packet)
{
	const unsigned char *ip = packet->bytes;

	printf("{\"event\":\"packet\",\"n\":%lu,\"length\":%lu,", packet->number,
	       (unsigned long)packet->length);
	if (packet->length >= 20)
		printf("\"src\":\"%d.%d.%d.%d\",\"dst\":\"%d.%d.%d.%d\",\"protocol\":%d,", ip[12],
		       ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19], ip[9]);
	printf("\"interface\":\"%s\",\"hook_address_is_zero\":%s,\"tag\":\"",
	       address_text(packet->from.sin_addr),
	       packet->from.sin_addr.s_addr ? "false" : "true");
	hex_write(stdout, &packet->from.sin_port, sizeof(packet->from.sin_port));
	hex_write(stdout, packet->from.sin_zero, sizeof(packet->from.sin_zero));
	printf("\",\"hex\":\"");
	hex_write(stdout, ip, packet->length);
	printf("\"");
}

void show_packet(const struct packet *packet)
{
	if (option.json)
		show_json(packet);
	else
		show_people(packet);
}

void show_released(const struct packet *packet)
{
	if (option.json)
		printf("{\"event\":\"released\",\"n\":%lu", packet->number);
	else
		printf("packet %lu released\n", packet->number);
}

void show_held(void)
{
	printf(option.json ? ",\"held\":true" : "  held\n");
}

void show_reinjected(long bytes)
{
	printf(option.json ? ",\"reinjected\":%ld" : "  reinjected %ld bytes\n", bytes);
}

void show_not_reinjected(int error)
{
	failures++;
	if (option.json)
		printf(",\"error\":\"%s\"", errno_name(error));
	else
		printf("  not reinjected: %s (%s)\n", strerror(error), errno_name(error));
}

void end_event(void)
{
	if (option.json)
		printf("}\n");
	fflush(stdout);
}
