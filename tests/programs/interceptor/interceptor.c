/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The example interceptor (SPEC X1 to X5): binds a divert port, prints each packet that the firewall
 * diverts there, and sends it back or not. docs/interceptor.md explains the options and the output.
 *
 * Each call of the divert interface is made as a program of the time makes it; around them are the
 * checks, the second output and the behaviours that tests need.
 */
#include "../common/firewall.h"
#include "interceptor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HELD_MAX 1024

static unsigned long received, held_count;
static int divert_socket = -1, firewall_socket = -1, rule_is_set;
static struct packet held[HELD_MAX];
static int signal_pipe[2];

static void on_signal(int number)
{
	unsigned char byte = (unsigned char)number;
	int error = errno;

	if (write(signal_pipe[1], &byte, 1) < 0)
		_exit(CALL_FAILED);
	errno = error;
}

/* One ICMP rule of our own at the end of the output chain, and the same structure to remove it. */
static int set_rule(int command)
{
	struct firewall_change change;

	memset(&change, 0, sizeof(change));
	change.rule.match.protocol = IPPROTO_ICMP;
	change.rule.match.source_ports[1] = 0xffff;
	change.rule.match.destination_ports[1] = 0xffff;
	change.rule.match.tos_and = 0xff;
	change.rule.match.port = (uint16_t)option.port;
	strcpy(change.rule.target, "DIVERT");
	strcpy(change.chain, "output");
	return setsockopt(firewall_socket, IPPROTO_IP, command, &change, sizeof(change));
}

/* Where there are no divert sockets, socket() and bind() succeed all the same (SPEC S2, S11). */
static void warn_if_plain(void)
{
	if (access("/proc/net/divert", F_OK) < 0)
		fprintf(stderr,
			"interceptor: no /proc/net/divert, so this kernel diverts nothing\n");
}

/* Returns what failed, or NULL when the port is bound and every option has taken effect. */
static const char *open_all(void)
{
	struct sockaddr_in address;
	struct sigaction action;
	struct in_addr interface;
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1 };
	size_t i;

	if (pipe(signal_pipe) < 0)
		return "pipe";
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (sigaction(numbers[i], &action, NULL) < 0)
			return "sigaction";

	divert_socket = socket(AF_INET, SOCK_RAW, IPPROTO_DIVERT);
	if (divert_socket < 0)
		return "socket";
	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)option.port);
	if (bind(divert_socket, (struct sockaddr *)&address, sizeof(address)) < 0)
		return "bind";

	if (option.multicast) {
		address_read(option.multicast, &interface); /* read_options has judged it */
		if (setsockopt(divert_socket, IPPROTO_IP, IP_MULTICAST_IF, &interface,
			       sizeof(interface)) < 0)
			return "setsockopt IP_MULTICAST_IF";
	}
	if (option.firewall) {
		firewall_socket = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
		if (firewall_socket < 0)
			return "socket for the firewall";
		if (set_rule(FIREWALL_APPEND) < 0)
			return "setsockopt IP_FW_APPEND";
		rule_is_set = 1;
	}
	return NULL;
}

static void change_bytes(const struct packet *packet)
{
	int i;

	for (i = 0; i < option.patch_count; i++) {
		const struct patch *patch = &option.patches[i];

		if (patch->offset + patch->length <= packet->length)
			memcpy(packet->bytes + patch->offset, patch->bytes, patch->length);
	}
}

static void send_back(const struct packet *packet)
{
	struct sockaddr_in to = packet->from;
	long sent;

	change_bytes(packet);
	if (!option.verbatim) {
		memset(&to, 0, sizeof(to));
		to.sin_family = AF_INET;
		to.sin_addr = option.to;
	}
	sent = sendto(divert_socket, packet->bytes, packet->length, 0, (struct sockaddr *)&to,
		      sizeof(to));
	if (sent < 0)
		show_not_reinjected(errno);
	else
		show_reinjected(sent);
}

static int keep(const struct packet *packet)
{
	struct packet *copy = &held[held_count];

	*copy = *packet;
	copy->bytes = malloc(packet->length ? packet->length : 1);
	if (!copy->bytes)
		return -1;
	memcpy(copy->bytes, packet->bytes, packet->length);
	held_count++;
	return 0;
}

static void release_all(void)
{
	unsigned long i;

	for (i = 0; i < held_count; i++) {
		show_released(&held[i]);
		send_back(&held[i]);
		end_event();
		free(held[i].bytes);
	}
	held_count = 0;
}

static int receive(void)
{
	static unsigned char bytes[PACKET_MAX];
	struct packet packet = { .bytes = bytes };
	socklen_t size = sizeof(packet.from);
	long length;

	length = recvfrom(divert_socket, bytes, option.room, 0, (struct sockaddr *)&packet.from,
			  &size);
	if (length < 0) {
		failed("recvfrom");
		return -1;
	}
	packet.number = ++received;
	packet.length = (size_t)length;
	if (option.hold && (held_count == HELD_MAX || keep(&packet) < 0)) {
		errno = ENOMEM;
		failed("hold");
		return -1;
	}
	show_packet(&packet);
	if (option.hold)
		show_held();
	else if (option.reinject)
		send_back(&packet);
	end_event();
	return 0;
}

static const char *signal_name(int number)
{
	switch (number) {
	case SIGINT:
		return "SIGINT";
	case SIGTERM:
		return "SIGTERM";
	case SIGHUP:
		return "SIGHUP";
	default:
		return "SIGPIPE";
	}
}

/* Why no more packets are to be read, or NULL. */
static const char *enough(void)
{
	if (option.count && received >= option.count)
		return "count";
	if (option.guard && received >= option.guard)
		return "guard";
	return NULL;
}

/* Returns why it ended. Packets that are held are waited for: only SIGUSR1 releases them. */
static const char *intercept(void)
{
	struct pollfd ready[2] = {
		{ .fd = signal_pipe[0], .events = POLLIN },
		{ .fd = divert_socket, .events = POLLIN },
	};
	int reading = !option.idle;

	for (;;) {
		unsigned char number = 0;

		if (poll(ready, reading ? 2 : 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			failed("poll");
			return "error";
		}
		if (ready[0].revents) {
			if (read(signal_pipe[0], &number, 1) < 0) {
				failed("read");
				return "error";
			}
			if (number != SIGUSR1)
				return signal_name(number);
			reading = 1;
			release_all();
		} else if (receive() < 0) {
			return "error";
		}
		if (enough()) {
			reading = 0;
			if (!held_count)
				return enough();
		}
	}
}

int main(int argc, char **argv)
{
	const char *reason;

	read_options(argc, argv);
	reason = open_all();
	if (reason) {
		failed(reason);
		reason = "error";
	} else {
		warn_if_plain();
		printf(option.json ? "{\"event\":\"listening\",\"port\":%lu}\n" :
				     "listening on divert port %lu\n",
		       option.port);
		fflush(stdout);
		reason = intercept();
	}
	if (rule_is_set && set_rule(FIREWALL_DELETE) < 0)
		failed("setsockopt IP_FW_DELETE");
	printf(option.json ? "{\"event\":\"end\",\"reason\":\"%s\",\"packets\":%lu}\n" :
			     "ended by %s after %lu packets\n",
	       reason, received);
	fflush(stdout);
	if (strcmp(reason, "guard") == 0)
		return GUARDED;
	return failures ? CALL_FAILED : DONE;
}
