# SPDX-License-Identifier: GPL-2.0-only
# ipchains, with its own library. Its makefile is not used: not all archives of it have the same.
# __GLIBC__: its headers then leave to the libc what the libc has.
flags="-O2 -w -std=gnu89 -fcommon -D__GLIBC__=2 -D_GNU_SOURCE"
mkdir -p "$OUT/sbin"
$CC $flags -Ilibipfwc -s -o "$OUT/sbin/ipchains" ipchains.c libipfwc/libipfwc.c
