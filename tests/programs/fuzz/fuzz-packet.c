/* SPDX-License-Identifier: GPL-2.0-only */
/* Packets and addresses for sendto() on a divert socket: right ones, wrong ones, spoilt ones. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <string.h>

#define QUAD(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static const uint32_t own[] = {
	QUAD(192, 0, 2, 1),
	QUAD(198, 51, 100, 1),
	QUAD(127, 0, 0, 1),
};

static const uint32_t others[] = {
	QUAD(192, 0, 2, 2), QUAD(198, 51, 100, 2), QUAD(192, 0, 2, 255), QUAD(255, 255, 255, 255),
	QUAD(239, 1, 2, 3), QUAD(224, 0, 0, 1),    QUAD(203, 0, 113, 9), QUAD(0, 0, 0, 0),
	QUAD(127, 1, 2, 3), QUAD(240, 0, 0, 1),
};

static const unsigned char protocols[] = { 1, 1, 17, 17, 6, 6, 2, 4, 47, 0, 99, 254, 255 };

uint32_t fuzz_host(void)
{
	uint32_t address = dice();

	if (chance(45))
		address = own[below(sizeof(own) / sizeof(own[0]))];
	else if (chance(90))
		address = others[below(sizeof(others) / sizeof(others[0]))];
	/* Not the management network: behind it is the host. */
	return htonl(address >> 24 == 10 ? address ^ QUAD(1, 0, 0, 0) : address);
}

uint16_t fuzz_checksum(const unsigned char *bytes, size_t length)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(unsigned char *at, uint32_t value)
{
	at[0] = (unsigned char)(value >> 8);
	at[1] = (unsigned char)value;
}

static size_t size_of_body(void)
{
	switch (below(12)) {
	case 0:
		return 0;
	case 1:
		return 1400 + below(200);
	case 2:
		return chance(20) ? below(PACKET_MAX - 60) : below(5000);
	default:
		return below(200);
	}
}

/* Options: the ones that the stack looks at, with random lengths and pointers. */
static void make_options(unsigned char *at, size_t length)
{
	static const unsigned char kinds[] = { 0, 1, 7, 68, 131, 137, 148, 130 };

	scribble(at, length);
	if (length > 3 && chance(80)) {
		at[0] = kinds[below(sizeof(kinds))];
		at[1] = (unsigned char)(chance(70) ? length : below(60));
		at[2] = (unsigned char)(chance(70) ? 4 : below(60));
	}
}

static size_t make_packet(unsigned char *bytes)
{
	size_t header = 20 + (chance(20) ? 4 * below(11) : 0);
	size_t body = size_of_body(), total = header + body;
	uint32_t from = fuzz_host(), to = fuzz_host();

	bytes[0] = (unsigned char)(0x40 | header / 4);
	bytes[1] = (unsigned char)(chance(70) ? 0 : dice());
	put16(bytes + 2, (uint32_t)total);
	/* Few identifications, so that fragments meet each other. */
	put16(bytes + 4, chance(80) ? below(4) : dice());
	put16(bytes + 6, chance(75) ? (chance(80) ? 0 : 0x4000) : (below(2) << 13) | below(20));
	bytes[8] = (unsigned char)(chance(70) ? 64 : below(4));
	bytes[9] = protocols[below(sizeof(protocols))];
	put16(bytes + 10, 0);
	memcpy(bytes + 12, &from, 4);
	memcpy(bytes + 16, &to, 4);
	if (header > 20)
		make_options(bytes + 20, header - 20);
	memset(bytes + header, 0, body);
	scribble(bytes + header, body < 64 ? body : 64);
	/* An ICMP message that the stack understands, now and then. */
	if (bytes[9] == 1 && body >= 8 && chance(70)) {
		bytes[header] = (unsigned char)below(19);
		bytes[header + 1] = (unsigned char)(chance(80) ? 0 : below(16));
		put16(bytes + header + 2, 0);
		put16(bytes + header + 2, fuzz_checksum(bytes + header, body & ~1ul));
	}
	put16(bytes + 10, fuzz_checksum(bytes, header));
	return total;
}

size_t fuzz_packet(unsigned char *bytes, const struct kept **source)
{
	size_t length;

	*source = NULL;
	if (kept_count && chance(45)) {
		*source = &kept[below(kept_count < FUZZ_KEPT ? kept_count : FUZZ_KEPT)];
		length = (*source)->length;
		memcpy(bytes, (*source)->bytes, length);
	} else if (chance(10)) {
		length = below(100);
		scribble(bytes, length);
	} else {
		length = make_packet(bytes);
	}
	if (chance(30))
		spoil(bytes, length < 60 ? length : 60);
	if (chance(6))
		length = below((uint32_t)length + 1);
	else if (chance(1))
		length = chance(50) ? PACKET_MAX + below(FUZZ_LARGEST - PACKET_MAX) : PACKET_MAX;
	/* A spoilt one must not leave by the management network either. */
	if (length >= 20 && bytes[16] == 10)
		bytes[16] = 11;
	return length;
}

socklen_t fuzz_address(unsigned char address[128], const struct kept *source)
{
	struct sockaddr_in to;
	socklen_t length = sizeof(to);

	memset(address, 0, 128);
	memset(&to, 0, sizeof(to));
	to.sin_family = AF_INET;
	if (!source && kept_count && chance(15))
		source = &kept[below(kept_count < FUZZ_KEPT ? kept_count : FUZZ_KEPT)];
	if (source && chance(85)) {
		to = source->from;
		/* A bit of the tag, the address, or the family. */
		if (chance(30))
			spoil(&to, sizeof(to));
	} else if (chance(50)) {
		to.sin_addr.s_addr = htonl(own[below(sizeof(own) / sizeof(own[0]))]);
		if (chance(20))
			scribble((unsigned char *)&to + 8, 8);
	} else if (chance(10)) {
		scribble(&to, sizeof(to));
	} else if (chance(10)) {
		to.sin_addr.s_addr = fuzz_host();
	}
	memcpy(address, &to, sizeof(to));
	if (chance(4))
		length = below(129);
	return length;
}
