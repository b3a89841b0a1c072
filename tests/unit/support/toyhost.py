# SPDX-License-Identifier: GPL-2.0-only
"""A host of shell scripts: a PATH with the shell's tools, and stand-ins for APT, gcc and Python."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.base import paths
from harness.host import host

TOOLS = (
    *("awk", "cat", "chmod", "cmp", "cp", "cut", "dirname", "env", "flock", "grep", "head", "ln"),
    *("mkdir", "mv", "readlink", "rm", "sed", "sh", "sort", "tail", "timeout", "tr", "uname"),
)

# Installs what stands in the folder `packages`; has what stands in the folder `archive`: a file for
# each package, with its version, and the programs that it brings.
APT_GET = """\
echo "$*" >>"$TOY/calls"
case "$*" in
*update*) cat "$TOY/update" >&2; [ ! -s "$TOY/update" ]; exit ;;
*--no-remove*) ;;
*) echo 'removes what it likes' >&2; exit 1 ;;
esac
[ ! -s "$TOY/refusal" ] || { cat "$TOY/refusal"; exit 100; }
for word; do
    case $word in -* | DPkg* | install) continue ;; esac
    [ -e "$TOY/archive/$word" ] || { echo "E: Unable to locate package $word" >&2; exit 100; }
    cp "$TOY/archive/$word" "$TOY/packages/$word"
    while read -r program; do
        case $program in [0-9]* | '') continue ;; esac
        cp "$TOY/programs/$program" "$TOY/bin/$program" 2>/dev/null || {
            printf '#!/bin/sh\\necho version 1\\n' >"$TOY/bin/$program"
            chmod +x "$TOY/bin/$program"
        }
    done <"$TOY/archive/$word"
done
"""
APT_CACHE = """\
echo "$2:"
[ -e "$TOY/archive/$2" ] || exit 0
echo '  Installed: (none)'
echo "  Candidate: $(head -n 1 "$TOY/archive/$2")"
"""
DPKG_QUERY = '[ -e "$TOY/packages/$4" ] && echo installed\n'
GCC = """\
case $1 in
-dumpversion) echo 12 ;;
-print-multiarch) echo x86_64-linux-gnu ;;
*) echo 'gcc (Toy) 12.1' ;;
esac
"""
# A Python 3.MINOR, whose pip says what stands in the file `pip`, and whose harness shows itself.
PYTHON = """\
case "$*" in
'-c import sys'*) [ MINOR -ge 11 ] ;;
'-c import ensurepip'*) [ -e "$TOY/packages/VENV" ] ;;
*'-m pip config list') echo "$PIP_CONFIG" ;;
*'-m pip '*)
    echo "pip retries=$PIP_RETRIES" >>"$TOY/calls"
    [ ! -s "$TOY/pip" ] || { cat "$TOY/pip"; exit 1; } ;;
'-m venv --clear '*)
    [ -e "$TOY/packages/VENV" ] || exit 1
    mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
'-P -m harness.base.cli '*) printf '%s\\n' "$0" "$@"; env | grep ^PYT ;;
esac
"""


@dataclass
class Toy:
    """The host, with a checkout of its own at `checkout`; `uid` is who runs there."""

    folder: Path
    checkout: Path
    uid: int = 1000
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("bin", "archive", "packages", "programs"):
            (self.folder / name).mkdir(parents=True)
        for name in ("update", "refusal", "pip", "calls"):
            (self.folder / name).touch()
        for name in TOOLS:
            (self.folder / "bin" / name).symlink_to(str(shutil.which(name)))
        for name, text in (
            ("apt-get", APT_GET),
            ("apt-cache", APT_CACHE),
            ("dpkg-query", DPKG_QUERY),
            ("id", 'echo "$TOY_UID"\n'),
            ("sudo", "exit 1\n"),
        ):
            self.program(name, text)
        for need in host.load():
            if " " not in need.name and need.name not in {"python3", "gcc"}:
                self.offer(_PACKAGES.get(need.name, need.name), "1.0", need.name)
        for name in ("apt", "dpkg"):
            self.offer(name, "1.0")
        for name in ("libc6-dev", "ca-certificates", "gcc-12-multilib", "gcc-multilib"):
            self.offer(name, "1.0")
        self.program("gcc", GCC, "programs")
        self.program("python3", python(11), "programs")
        self.offer("gcc", "4:12.2.0-3", "gcc")
        self.offer("python3", "3.11.2-1")
        self.offer("python3-venv", "3.11.2-1", "python3")
        ours = [f"harness/host/{name}" for name in ("setup.sh", "host.toml", "host.c")]
        for name in ("inv", *ours, "harness/base/compilers.toml"):
            (self.checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(paths.ROOT / name, self.checkout / name)
        (self.checkout / "requirements.lock").write_text("toy\n")

    def program(self, name: str, text: str, folder: str = "bin") -> None:
        """Put a shell script into PATH, or where packages have it from."""
        path = self.folder / folder / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)

    def offer(self, package: str, version: str, program: str = "") -> None:
        """Have a package in APT's lists, with one more program."""
        path = self.folder / "archive" / package
        begin = path.read_text() if path.exists() else f"{version}\n"
        path.write_text(begin + (f"{program}\n" if program else ""))

    def withdraw(self, *packages: str) -> None:
        """Have packages no longer in APT's lists; without names, none at all."""
        for path in (self.folder / "archive").iterdir():
            if not packages or path.name in packages:
                path.unlink()

    def installed(self, *packages: str) -> None:
        """Have installed what brings no program, or had brought it."""
        for name in packages:
            (self.folder / "packages" / name).touch()

    def says(self, what: str, text: str) -> None:
        """Let apt-get's update, its refusal to remove, or pip say something and fail."""
        (self.folder / what).write_text(text)

    @property
    def variables(self) -> dict[str, str]:
        """The environment there."""
        return {
            "PATH": str(self.folder / "bin"),
            "TOY": str(self.folder),
            "TOY_UID": str(self.uid),
            **self.environment,
        }

    def run(
        self, *words: str, program: Path | None = None, cwd: Path | None = None, status: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run `inv` there to its end, and check its status."""
        done = subprocess.run(
            [str(program or self.checkout / "inv"), *words],
            cwd=cwd or self.checkout,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    @property
    def calls(self) -> Sequence[str]:
        """The arguments of each apt-get, and pip's retries, in their order."""
        return (self.folder / "calls").read_text().splitlines()


# Programs that have not their package's name.
_PACKAGES = {
    "qemu-system-i386": "qemu-system-x86",
    "ld": "binutils",
    "as86": "bin86",
    "ld86": "bin86",
    "xz": "xz-utils",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}


def python(minor: int, venv: str = "python3-venv") -> str:
    """The script of a Python 3.`minor` that has venv once the package `venv` is installed."""
    return PYTHON.replace("MINOR", str(minor)).replace("VENV", venv)
