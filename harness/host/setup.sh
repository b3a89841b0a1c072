#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the host lacks, and the one apt-get command that brings it. In sh, since Python may be lacking.
#
#   setup.sh HARNESS python            prints the Python to use: 3.11 or later, with venv
#   setup.sh HARNESS rows              prints the rows of DATA/host.toml that all tasks need: name, package,
#                                   reason; tabs between
#   setup.sh HARNESS packages          prints the packages of all rows
#   setup.sh HARNESS lacking           prints the names of the rows that are not here, as far as can be told
#                                   without compiling
#   setup.sh HARNESS explain ROW...    says what these rows are for, and the command; ends with status 3
#   setup.sh HARNESS install ROW...    says what these rows are for, and runs the command, as root
set -eu

harness=$1
task=$2
shift 2
infrastructure=3
seconds=1800

# Messages of apt-get are read here. Hooks and the keys of other people's lists are the host's.
export LC_ALL=C
tab=$(printf '\t')

say() { printf 'inv: %s\n' "$*" >&2; }

fail() {
	say "$@"
	exit $infrastructure
}

# The version of a package that is here or would be installed; empty if APT's lists do not have it.
candidate() {
	apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9]\)/\2/p'
}

# The version of the package gcc, from APT's lists; without lists, from what is known of the release.
gcc_version() {
	version=$(candidate gcc)
	if [ -z "$version" ] && [ -r /etc/os-release ]; then
		# shellcheck disable=SC1091 # it is of the host
		codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")
		version=$(sed -n "/^\[releases\]/,/^\[/s/^${codename:-none} = //p" "$harness/base/compilers.toml")
	fi
	printf '%s\n' "$version"
}

# As harness/base/compiler.py chooses.
compiler() {
	[ -z "${DIVERT_GCC-}" ] || { printf '%s\n' "$DIVERT_GCC" && return; }
	# shellcheck disable=SC2013 # words
	for name in $(sed -n 's/^candidates = "\(.*\)"$/\1/p' "$harness/base/compilers.toml"); do
		! command -v "$name" >/dev/null || break
	done
	printf '%s\n' "$name"
}

# Not gcc-multilib, unless nothing better is known: it conflicts with every cross compiler.
multilib() {
	gcc=$(compiler)
	version=$("$gcc" -dumpversion 2>/dev/null) || case ${gcc##*/} in
	gcc-[0-9]*) version=${gcc##*-} ;;
	*) version=$(gcc_version) ;;
	esac
	version=${version%%[!0-9]*}
	printf 'gcc-%smultilib\n' "${version:+$version-}"
}

pythons='python3 python3.14 python3.13 python3.12 python3.11'

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

python() {
	for name in $pythons; do
		! { new_enough "$name" && has_venv "$name"; } || { command -v "$name" && return; }
	done
	return 1
}

# The package with venv: for a Python that is here, for the release's own, or for a later one of its.
python_package() {
	for name in $pythons; do
		! new_enough "$name" || { printf '%s-venv\n' "$name" && return; }
	done
	version=$(candidate python3)
	minor=${version#3.}
	minor=${minor%%[!0-9]*}
	if [ "${minor:-11}" -ge 11 ]; then
		echo python3-venv
		return
	fi
	for name in ${pythons#* }; do
		[ -z "$(candidate "$name-venv")" ] || { printf '%s-venv\n' "$name" && return; }
	done
	fail "the harness needs Python 3.11 or later, and this release has 3.$minor:" \
		"install a later one, with venv, and have it in PATH as python3.11 or later"
}

rows() {
	python=$(python_package) || exit
	gcc=$(compiler)
	awk -F'"' '
		/^\[/ { name = $0; gsub(/[]["]/, "", name); task = 0 }
		/^task = / { task = 1 }
		/^package = / { package = $2 }
		/^reason = / && !task { print name "\t" package "\t" $2 }
	' "$harness/host/host.toml" |
		sed -e "s|{python}|$python|" -e "s|{gcc}|${gcc##*/}|" -e "s|{multilib}|$(multilib)|"
}

packages() { cut -f 2 | sort -u; }

all_packages() {
	table=$(rows) || exit
	printf '%s\n' "$table" | packages
}

# chosen ROW...: the lines of these rows
chosen() {
	table=$(rows) || exit
	for row; do
		printf '%s\n' "$table" | awk -F'\t' -v row="$row" '$1 == row'
	done
}

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed; }

lacking() {
	table=$(rows) || exit
	printf '%s\n' "$table" | while IFS=$tab read -r row package _; do
		case $row in
		python3) python >/dev/null ;;
		gcc) command -v "$(compiler)" >/dev/null ;;
		*' '*) installed "$package" ;;
		*) command -v "$row" >/dev/null ;;
		esac || printf '%s\n' "$row"
	done
}

say_why() {
	say "this host lacks:"
	chosen "$@" | awk -F'\t' '{ print "inv:   " $1 " (package " $2 "): " $3 }' >&2
	case $(uname -m) in
	x86_64 | i?86) ;;
	*) fail "compilers for 32-bit x86 code are not packaged for $(uname -m): use an x86-64 machine" ;;
	esac
	command -v apt-get >/dev/null ||
		fail "and has no apt-get: install it by this system's own means, then run this again"
}

install='apt-get install --no-remove --no-install-recommends'

explain() {
	say_why "$@"
	words=$(chosen "$@" | packages | tr '\n' ' ')
	sudo=
	run="run: "
	if [ "$(id -u)" != 0 ]; then
		if command -v sudo >/dev/null; then sudo='sudo '; else run='as root, run: '; fi
	fi
	# A machine that has never had APT's lists, as in a container.
	[ -n "$(candidate "${words%% *}")" ] || run="$run${sudo}apt-get update; "
	fail "$run$sudo$install ${words% }"
}

apt_get() { timeout --foreground $seconds apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

# What apt-get would have removed, by its words in the file $1.
unwilling() {
	awk '/^ / && found { print } { found = found && /^ / } /^The following packages will be REMOVED/ { found = 1 }' "$1"
}

install() {
	[ "$(id -u)" = 0 ] || explain "$@"
	log=$harness/../build/logs/setup.log
	mkdir -p "${log%/*}"
	say "fetching APT's lists of packages"
	# One that could not be had is often not the one that is needed now.
	if ! apt_get update >"$log" 2>&1; then
		say "warning: apt-get update says so, and is not waited for:"
		sed -n 's/^[EW]: /inv:   /p' "$log" | tail -n 3 >&2
	fi
	say_why "$@"
	words=$(chosen "$@" | packages | tr '\n' ' ')
	say "running: $install ${words% }"
	# shellcheck disable=SC2086 # words
	DEBIAN_FRONTEND=noninteractive apt_get -y ${install#apt-get } $words >"$log" 2>&1 && return
	if [ "$(unwilling "$log")" ]; then
		say "nothing was installed, since apt-get would have removed:"
		unwilling "$log" >&2
		fail "whether they may go is yours to say: the same command without --no-remove does it"
	fi
	tail -n 12 "$log" >&2
	fail "apt-get could not install them; all that it said: build/logs/setup.log"
}

case $task in
python) python ;;
rows) rows ;;
packages) all_packages ;;
lacking) lacking ;;
explain) explain "$@" ;;
install) install "$@" ;;
esac
