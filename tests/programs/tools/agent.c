/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * agent: runs shell scripts for whoever connects to its TCP port and knows the token, as an SSH server
 * does, but without the arithmetic, which costs most of a short test under emulation. The tests start
 * it over SSH, in a guest whose management network nobody else reaches; docs/testing.md has the why.
 *
 * One connection is one script:
 *   to the agent    TOKEN\n LENGTH\n the script, and then its standard input, to the end of the stream
 *   from the agent  frames: 'o' or 'e' (output, errors) or 'x' (exit status, the last one), the length
 *                   of what follows as four bytes in network order, and that
 */
#include "../common/common.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEAD       5 /* of a frame */
#define CHUNK      4096
#define SCRIPT_MAX 65536
#define TOKEN_MAX  64
#define SIGNALLED  128 /* as shells say it */

enum { CONNECTION, INPUT, OUTPUT, ERRORS, ENDS };

static void put(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;
	long written;

	for (; length; at += written, length -= (size_t)written) {
		written = write(fd, at, length);
		if (written < 0)
			_exit(1);
	}
}

/* In one write: the second of two would wait until the first is acknowledged (Nagle), 10 ms each. */
static void put_frame(int fd, char kind, const void *bytes, size_t length)
{
	static unsigned char frame[HEAD + CHUNK];
	uint32_t size = htonl((uint32_t)length);

	frame[0] = (unsigned char)kind;
	memcpy(frame + 1, &size, sizeof(size));
	memcpy(frame + HEAD, bytes, length);
	put(fd, frame, HEAD + length);
}

/* A line without its end, read byte by byte: what follows it is not ours to read. */
static int get_line(int fd, char *line, size_t room)
{
	size_t used = 0;

	while (used < room && read(fd, line + used, 1) == 1) {
		if (line[used] == '\n') {
			line[used] = '\0';
			return 0;
		}
		used++;
	}
	return -1;
}

static void get_script(int fd, char *script)
{
	unsigned long length, used = 0;
	char line[16];
	long got;

	if (get_line(fd, line, sizeof(line)) < 0 ||
	    number_read(line, 1, SCRIPT_MAX - 1, &length) < 0)
		_exit(1);
	for (; used < length; used += (unsigned long)got) {
		got = read(fd, script + used, length - used);
		if (got <= 0)
			_exit(1);
	}
	script[length] = '\0';
}

/* Returns the process, and in `fds` our ends of its standard input, output and errors. */
static pid_t start(const char *script, int *fds)
{
	int pipes[ENDS][2], i;
	pid_t child;

	for (i = INPUT; i < ENDS; i++)
		if (pipe(pipes[i]) < 0)
			_exit(1);
	child = fork();
	if (child < 0)
		_exit(1);
	if (child == 0) {
		dup2(pipes[INPUT][0], 0);
		dup2(pipes[OUTPUT][1], 1);
		dup2(pipes[ERRORS][1], 2);
		for (i = 3; i < 64; i++)
			close(i);
		signal(SIGPIPE, SIG_DFL);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	close(pipes[INPUT][0]);
	close(pipes[OUTPUT][1]);
	close(pipes[ERRORS][1]);
	fds[INPUT] = pipes[INPUT][1];
	fds[OUTPUT] = pipes[OUTPUT][0];
	fds[ERRORS] = pipes[ERRORS][0];
	fcntl(fds[INPUT], F_SETFL, O_NONBLOCK);
	return child;
}

static void drop(int *fd)
{
	close(*fd);
	*fd = -1;
}

/* Until the program has closed its output and its errors. Its input waits here while its pipe is full. */
static void relay(int *fds)
{
	static char input[CHUNK], bytes[CHUNK];
	long held = 0, got;
	int i;

	while (fds[OUTPUT] >= 0 || fds[ERRORS] >= 0) {
		struct pollfd ready[ENDS];

		for (i = 0; i < ENDS; i++) {
			ready[i].fd = fds[i];
			ready[i].events = i == INPUT ? POLLOUT : POLLIN;
			ready[i].revents = 0;
		}
		if (held || fds[INPUT] < 0)
			ready[CONNECTION].fd = -1;
		if (!held)
			ready[INPUT].fd = -1;
		if (poll(ready, ENDS, -1) < 0)
			_exit(1);
		if (ready[CONNECTION].revents) {
			held = read(fds[CONNECTION], input, sizeof(input));
			if (held <= 0) {
				held = 0;
				drop(&fds[INPUT]);
			}
		}
		if (ready[INPUT].revents) {
			got = write(fds[INPUT], input, (size_t)held);
			if (got >= 0) {
				held -= got;
				memmove(input, input + got, (size_t)held);
			} else if (errno != EAGAIN) {
				held = 0; /* It reads no more, which is its right. */
				drop(&fds[INPUT]);
			}
		}
		for (i = OUTPUT; i < ENDS; i++) {
			if (!ready[i].revents)
				continue;
			got = read(fds[i], bytes, sizeof(bytes));
			if (got > 0)
				put_frame(fds[CONNECTION], i == OUTPUT ? 'o' : 'e', bytes,
					  (size_t)got);
			else
				drop(&fds[i]);
		}
	}
}

static void serve(int connection, const char *token)
{
	static char script[SCRIPT_MAX];
	char line[TOKEN_MAX + 1], text[16];
	int fds[ENDS] = { connection }, status;
	pid_t child;

	if (get_line(connection, line, sizeof(line)) < 0 || strcmp(line, token) != 0)
		_exit(1);
	get_script(connection, script);
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	child = start(script, fds);
	relay(fds);
	if (waitpid(child, &status, 0) != child)
		_exit(1);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
	sprintf(text, "%d", status);
	put_frame(connection, 'x', text, strlen(text));
	_exit(0);
}

static void fail(const char *call)
{
	fprintf(stderr, "agent: %s: %s\n", call, strerror(errno));
	exit(2);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	char token[TOKEN_MAX + 1];
	unsigned long port;
	int listener, one = 1;

	memset(&address, 0, sizeof(address));
	address.sin_family = AF_INET;
	if (argc != 3 || address_read(argv[1], &address.sin_addr) < 0 ||
	    number_read(argv[2], 1, 65535, &port) < 0) {
		fprintf(stderr, "usage: agent ADDRESS PORT < TOKEN\n");
		return 1;
	}
	address.sin_port = htons((uint16_t)port);
	if (get_line(0, token, sizeof(token)) < 0 || !token[0]) {
		fprintf(stderr, "agent: no token on standard input\n");
		return 1;
	}
	listener = socket(AF_INET, SOCK_STREAM, 0);
	if (listener < 0)
		fail("socket");
	if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0)
		fail("setsockopt");
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");
	if (listen(listener, 64) < 0)
		fail("listen");
	signal(SIGCHLD, SIG_IGN); /* 2.2 reaps them then */
	signal(SIGHUP, SIG_IGN);  /* It outlives the session that started it. */
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		pid_t child;

		if (connection < 0)
			continue;
		child = fork();
		if (child == 0) {
			close(listener);
			/* Frames that follow each other need not wait either. */
			setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			serve(connection, token);
		}
		close(connection);
	}
}
