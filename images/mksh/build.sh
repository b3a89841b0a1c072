# SPDX-License-Identifier: GPL-2.0-only
# mksh, the shell. MKSH_BUILDMEAT: it refuses to build for a libc that it does not know.
TARGET_OS=Linux CPPFLAGS=-DMKSH_BUILDMEAT=1 CFLAGS="-O2 -w" sh Build.sh -r
mkdir -p "$OUT/bin"
strip -o "$OUT/bin/mksh" mksh
ln -s mksh "$OUT/bin/sh"
