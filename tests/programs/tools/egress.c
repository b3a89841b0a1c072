/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * egress GROUP: attaches a program of BPF to a control group (its folder), which counts what the group's sockets send,
 * and answers each line that it reads by the count. The guest's headers are older than bpf().
 */
#define _GNU_SOURCE
#include "../common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __i386__
#define BPF 357
#else
#define BPF 321
#endif
#define MAP_CREATE       0
#define MAP_LOOK_UP      1
#define PROGRAM_LOAD     5
#define PROGRAM_ATTACH   8
#define MAP_ARRAY        2
#define PROGRAM_OF_GROUP 8 /* BPF_PROG_TYPE_CGROUP_SKB */
#define OUTWARD          1 /* BPF_CGROUP_INET_EGRESS */

/* linux/bpf.h's struct bpf_insn: code, registers (source above destination), offset, value. */
struct instruction {
	uint8_t code, registers;
	int16_t offset;
	int32_t value;
};

static uint64_t address_of(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

static int bpf(const char *what, int command, void *attributes, unsigned int size)
{
	int result = (int)syscall(BPF, command, attributes, size);

	if (result < 0)
		fprintf(stderr, "egress: %s: %s\n", what, errno_name(errno));
	return result;
}

static int make_map(void)
{
	uint32_t attributes[4] = { MAP_ARRAY, 4, 8, 1 }; /* key and value in bytes, entries */

	return bpf("map", MAP_CREATE, attributes, sizeof(attributes));
}

/* Adds 1 to the map's only value, and lets the packet pass. */
static int load_program(int map)
{
	/* clang-format off */
	const struct instruction program[] = {
		{ 0x62, 0x0a, -4, 0 },		/* *(u32 *)(r10 - 4) = 0 */
		{ 0xbf, 0xa2, 0, 0 },		/* r2 = r10 */
		{ 0x07, 0x02, 0, -4 },		/* r2 -= 4 */
		{ 0x18, 0x11, 0, map },		/* r1 = map, in two */
		{ 0, 0, 0, 0 },
		{ 0x85, 0, 0, 1 },		/* r0 = bpf_map_lookup_elem(r1, r2) */
		{ 0x15, 0, 2, 0 },		/* if r0 == 0 skip two */
		{ 0xb7, 0x01, 0, 1 },		/* r1 = 1 */
		{ 0xdb, 0x10, 0, 0 },		/* *(u64 *)r0 += r1, atomic */
		{ 0xb7, 0, 0, 1 },		/* r0 = 1 */
		{ 0x95, 0, 0, 0 },		/* return r0 */
	};
	/* clang-format on */
	struct {
		uint32_t type, count;
		uint64_t program, license;
		uint32_t log_level, log_size;
		uint64_t log;
		uint32_t version, flags;
	} attributes = {
		PROGRAM_OF_GROUP,
		sizeof(program) / sizeof(program[0]),
		address_of(program),
		address_of("GPL"),
		0,
		0,
		0,
		0,
		0,
	};

	return bpf("program", PROGRAM_LOAD, &attributes, sizeof(attributes));
}

int main(int argc, char **argv)
{
	uint32_t attach[4] = { 0, 0, OUTWARD, 0 }; /* group, program, kind, flags */
	uint32_t key = 0;
	uint64_t count = 0;
	struct {
		uint32_t map, pad;
		uint64_t key, value, flags;
	} look;
	char line[16];
	int map, group;

	if (argc != 2) {
		fprintf(stderr, "usage: egress GROUP\n");
		return 1;
	}
	group = open(argv[1], O_RDONLY);
	if (group < 0) {
		fprintf(stderr, "egress: %s: %s\n", argv[1], errno_name(errno));
		return 1;
	}
	map = make_map();
	if (map < 0)
		return 1;
	attach[0] = (uint32_t)group;
	attach[1] = (uint32_t)load_program(map);
	if ((int)attach[1] < 0 || bpf("attach", PROGRAM_ATTACH, attach, sizeof(attach)) < 0)
		return 1;
	printf("ready\n");
	fflush(stdout);
	memset(&look, 0, sizeof(look));
	look.map = (uint32_t)map;
	look.key = address_of(&key);
	look.value = address_of(&count);
	while (fgets(line, sizeof(line), stdin)) {
		if (bpf("look", MAP_LOOK_UP, &look, sizeof(look)) < 0)
			return 1;
		printf("%lu\n", (unsigned long)count);
		fflush(stdout);
	}
	return 0;
}
