#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# packages.sh STEP: what a user does with the packages that `invoke package` made in /srv/packages, a step
# at a time, as root of a room (docs/rooms.md). It ends with a status other than 0 if the step did not do.
set -eu

packages=/srv/packages
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"$/\1/p' module/dkms.conf)
module=divert/$version

# A kernel that nobody has tried the module on; its headers are another's.
untried=5.10.0-1-amd64

export DEBIAN_FRONTEND=noninteractive

fail() {
	echo "packages: $*" >&2
	exit 1
}

# answers STATUS PATTERN COMMAND...: it ends with that status, and says that in one line.
answers() {
	status=$1 pattern=$2
	shift 2
	ended=0
	said=$("$@" 2>&1) || ended=$?
	echo "$said"
	[ $ended = "$status" ] || fail "$*: status $ended instead of $status"
	case $said in
	*"$pattern"*) ;;
	*) fail "$*: no word of $pattern" ;;
	esac
}

reproducible() {
	umask 077
	./inv package --output /srv/again
	diff -r $packages /srv/again
}

install() {
	apt-get update -q
	apt-get install -y -q --no-install-recommends linux-headers-amd64 pkgconf $packages/*.deb
}

built() {
	dkms status
	dkms status | grep -q "^$module, .*: installed" || fail "the module is not installed"
	for kernel in /lib/modules/*; do
		modinfo -k "${kernel##*/}" divert
	done
}

refused() {
	mkdir /lib/modules/$untried
	for build in /lib/modules/*/build; do
		ln -s "$(readlink -f "$build")" /lib/modules/$untried/build
		break
	done
	answers 77 BUILD_EXCLUSIVE dkms build "$module" -k $untried
	# What APT runs for a kernel that it installs. Debian 12's takes what is refused for what has failed.
	known=0
	dpkg --compare-versions "$(dpkg-query -W -f '${Version}' dkms)" gt 3.1 || known=11
	answers $known '' /etc/kernel/postinst.d/dkms $untried
	rm -r /lib/modules/$untried
	dkms status | grep -q $untried && fail "something is left of it" || :
}

upgrade() {
	sed -i "s/($version)/($version.1)/" packaging/changelog
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$version.1\"/" module/dkms.conf
	./inv package --output /srv/newer
	git checkout -q packaging module
	apt-get install -y -q /srv/newer/*.deb
	dkms status
	[ "$(dkms status | sed 's/,.*: /: /' | sort -u)" = "$module.1: installed" ] || fail "not $module.1, and that alone"
	[ "$(echo /usr/src/divert-*)" = "/usr/src/divert-$version.1" ] || fail "the old source is still there"
}

tools() {
	answers 1 'module: not loaded (as root: modprobe divert)' divert status
	answers 1 'is the module divert loaded?' ipchains -L
	answers 1 'is the module divert loaded?' ipchains -A input -p ICMP -j DIVERT 1234
	answers 2 'requires a port' ipchains -A input -j DIVERT
	answers 1 'usage: interceptor' interceptor
}

headers() {
	flags=$(pkg-config --cflags divert)
	# shellcheck disable=SC2086 # they are words
	cc -Wall -Wextra -Werror $flags -o /tmp/reinject /usr/share/doc/divert-dev/examples/reinject.c
	# shellcheck disable=SC2086
	cc -std=gnu89 -w $flags -o /tmp/howto tests/programs/interceptor/howto.c
	answers 1 'usage: reinject PORT' /tmp/reinject
	rm /tmp/reinject /tmp/howto
}

remove() {
	apt-get remove -y -q divert-dkms divert-dev divert-tools
	[ -z "$(dkms status)" ] || fail "dkms has still something: $(dkms status)"
	left=$(find /boot /etc /lib/modules /opt /usr /var/lib/dkms -name '*divert*' ! -name 'dpkg-divert*' ! -path '*/doc/*')
	left=$left$(find /usr/share/doc /usr/sbin -name 'divert*' -o -name ipchains -o -name interceptor)
	[ -z "$left" ] || fail "left behind: $left"
}

lintian() {
	apt-get install -y -q --no-install-recommends lintian
	command lintian --fail-on error,warning --display-info $packages/*.deb
}

"$1"
