/* SPDX-License-Identifier: GPL-2.0-only */
/* C++ as a program of the time has it, without its library; and the headers of network programs in it. */
#include <sys/types.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

class Socket {
public:
	explicit Socket(const char *name) : name(strdup(name)) { printf("made %s\n", name); }
	virtual ~Socket() { printf("gone %s\n", name); free(name); }
	virtual int port() const = 0;

protected:
	char *name;
};

class Divert : public Socket {
public:
	explicit Divert(int number) : Socket("divert"), number(number) {}
	int port() const { return number; }

private:
	int number;
};

template <typename T> T largest(T one, T other) { return one < other ? other : one; }

static Divert global(1000);

static Divert &once()
{
	static Divert local(2000);

	return local;
}

int main()
{
	Socket *heap = new Divert(3000);
	int *numbers = new int[4];
	struct sockaddr_in address;

	memset(&address, 0, sizeof(address));
	address.sin_port = htons(once().port());
	numbers[3] = largest(global.port(), heap->port());
	printf("ports %d %d %d\n", global.port(), ntohs(address.sin_port), numbers[3]);
	delete[] numbers;
	delete heap;
	printf("protocol %d, size %d\n", IPPROTO_DIVERT, (int)sizeof(struct ip));
	return 0;
}
