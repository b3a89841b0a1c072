#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# exported.sh STEP EXPORT WORK [ARGUMENT]...: what a user does with the folder EXPORT that `invoke export` wrote, a step at a
# time, below WORK, with nothing but what INSTALL there names. It ends with a status other than 0 if the step did not do.
set -eu

step=$1 export=$2 work=$3
shift 3
export=$(cd "$export" && pwd)
mkdir -p "$work"
cd "$work"

fail() {
	echo "exported: $*" >&2
	exit 1
}

# fresh SOURCE: upstream's tree, unpacked or copied, in `linux`.
fresh() {
	mkdir linux
	if [ -d "$1" ]; then
		# With its times: with others, make takes what was shipped for older than what it is made from.
		cp -Rp "$1/." linux
	else
		tar -xf "$1" -C linux --strip-components=1
	fi
}

# patched SOURCE PATCH: it, with the patch of that name, each hunk at its very line.
patched() {
	fresh "$1"
	(cd linux && patch -p1 -F0 --no-backup-if-mismatch <"$export/$2") >patch.log || fail "$2: $(cat patch.log)"
	! grep -E 'fuzz|offset|FAILED' patch.log || fail "$2 does not apply exactly"
}

# built TREE CONFIG: its kernel, by make alone. GCC names another compiler.
built() {
	cp "$2" "$1/.config"
	for target in oldconfig dep bzImage; do
		make -C "$1" ${GCC:+"GCC=$GCC"} $target </dev/null
	done
	ls -l "$1/arch/i386/boot/bzImage"
}

case $step in
digests)
	cd "$export"
	sha256sum --check SHA256SUMS
	;;
of-the-time) # SOURCE
	patched "$1" divert-2.2.12.patch
	;;
of-today) # SOURCE CONFIG
	patched "$1" divert-2.2.12-gcc12.patch
	built linux "$2"
	;;
tree)
	tar -xzf "$export/linux-2.2.12-divert.tar.gz"
	;;
ipchains)
	tar -xzf "$export/ipchains-1.3.9-divert.tar.gz"
	make -C ipchains-1.3.9-divert
	;;
*)
	fail "no step $step"
	;;
esac
