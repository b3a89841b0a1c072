/* SPDX-License-Identifier: GPL-2.0-only */
/* A host that compiles this has the headers and libraries that builds and unit tests use. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/limits.h>
#include <linux/netlink.h>
#include <linux/types.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Of libgcc: the guest's programs are linked with its library for 32-bit code. */
volatile unsigned long long dividend = ~0ULL, divisor = 3;

int main(void)
{
	return printf("%d %llu\n", EINVAL, dividend / divisor) < 0;
}
