# SPDX-License-Identifier: GPL-2.0-only
# dropbear, the SSH server. GRND_NONBLOCK: its check for getrandom, which then falls back, as 2.2 has
# none, to /dev/urandom, and so never waits for entropy. --build: told, not guessed, since the guess
# runs the compiler and trips over the libc's name.
cp "$RECIPE/localoptions.h" localoptions.h
cp "$RECIPE/libtomcrypt.mk" libtomcrypt/GNUmakefile
./configure -q --build=x86_64-pc-linux-gnu --host=i386-pc-linux-gnu --enable-bundled-libtom \
	--disable-zlib --disable-syslog --disable-harden --disable-lastlog --disable-utmp \
	--disable-utmpx --disable-wtmp --disable-wtmpx --disable-loginfunc --disable-pututline \
	--disable-pututxline CFLAGS="-O2 -w -DGRND_NONBLOCK=1"
make -s -j"$JOBS" PROGRAMS=dropbear
mkdir -p "$OUT/usr/sbin"
strip -o "$OUT/usr/sbin/dropbear" dropbear
