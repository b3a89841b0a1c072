# SPDX-License-Identifier: GPL-2.0-only
"""The files of packaging/: DKMS's kernels, scripts, headers, manual pages, `divert status`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.base import compiler, paths
from harness.matrix import kernels
from harness.release import deb_recipe
from tests.unit.programs.test_c_programs import PROGRAMS, compile_c, run

FOLDER = deb_recipe.FOLDER
DKMS = paths.ROOT / "module" / "dkms.conf"
INCLUDE = paths.ROOT / "module" / "include"

STRICT = ["-Wall", "-Wextra", "-Werror"]


def exclusive(name: str) -> str:
    found = re.search(rf'^BUILD_EXCLUSIVE_{name}="(.*)"$', DKMS.read_text(), re.MULTILINE)
    assert found, f"dkms.conf has no BUILD_EXCLUSIVE_{name}"
    return found[1]


# ---- DKMS


def series() -> list[tuple[int, int]]:
    """Those of the kernels that come from packages, in order."""
    found = set()
    for row in kernels.load().values():
        if row.package:
            name = re.match(r"linux-(\d+)\.(\d+)", row.name)
            assert name, f"no telling which kernels {row.name} stands for in dkms.conf"
            found.add((int(name[1]), int(name[2])))
    return sorted(found)


def admits(release: str) -> bool:
    """As dkms compares: bash's =~ is POSIX's extended expression, as these are Python's too."""
    return bool(re.search(exclusive("KERNEL"), release))


def test_dkms_builds_for_the_kernels_that_are_tested_and_no_newer_and_older() -> None:
    for major, minor in series():
        for rest in (".0-50-amd64", ".95+deb13-amd64", ".95+deb12-cloud-amd64", ".4+bpo-rt-amd64"):
            assert admits(f"{major}.{minor}{rest}"), (
                f"harness/matrix/kernels.toml has {major}.{minor}, and dkms refuses {major}.{minor}"
                f"{rest}: let it in by BUILD_EXCLUSIVE_KERNEL of module/dkms.conf"
            )
        for alike in (f"1{major}.{minor}.0-1-amd64", f"{major}.{minor}00.0-1-amd64"):
            assert not admits(alike), alike
    (first, least), (last, most) = series()[0], series()[-1]
    for untried in (f"{first}.{least - 1}", f"{last}.{most + 1}", f"{last + 1}.0", "5.10", "6.120"):
        assert not admits(f"{untried}.0-1-amd64"), (
            f"BUILD_EXCLUSIVE_KERNEL of module/dkms.conf lets in {untried}, which no row of "
            "harness/matrix/kernels.toml has tried"
        )


def test_dkms_s_scripts_do_what_dh_dkms_s_do(tmp_path: Path) -> None:
    log = tmp_path / "log"
    words = f'#!/bin/sh\necho "$(basename "$0") $*" >>{log}\n'
    common, dkms = tmp_path / "common.postinst", tmp_path / "dkms"
    for program in (common, dkms):
        program.write_text(words)
        program.chmod(0o755)
    dkms.write_text(words + "[ $1 != status ] || echo divert/1.0: added\n")

    def called(name: str, *arguments: str) -> list[str]:
        text = (FOLDER / f"divert-dkms.{name}").read_text().replace("@VERSION@", "1.0")
        text = text.replace("/usr/lib/dkms/common.postinst", str(common))
        log.write_text("")
        subprocess.run(
            ["sh", "-u", "-c", text, name, *arguments],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            check=True,
        )
        return log.read_text().splitlines()

    place = "common.postinst divert 1.0 /usr/share/divert-dkms"
    assert called("postinst", "configure", "0.9") == [f"{place}  0.9"]
    assert called("postinst", "configure") == [f"{place}  "]
    assert called("postinst", "abort-upgrade", "0.9") == []
    for why in ("remove", "upgrade", "deconfigure"):
        assert called("prerm", why) == [
            "dkms status -m divert -v 1.0",
            "dkms remove -m divert -v 1.0 --all",
        ]
    assert called("prerm", "failed-upgrade", "0.9") == []
    dkms.write_text(words)
    assert called("prerm", "remove") == ["dkms status -m divert -v 1.0"]


# ---- headers


@pytest.mark.parametrize(
    "before", ["", "#define IPPROTO_DIVERT 254\n", "#include <netinet/in.h>\n"]
)
@pytest.mark.parametrize("behind", ["", "#define IPPROTO_DIVERT 254\n"])
def test_the_number_of_divert_sockets(before: str, behind: str, tmp_path: Path) -> None:
    """Beside a definition of the program's own, as S1 has it."""
    source = tmp_path / "x.c"
    source.write_text(
        f"{before}#include <netinet/divert.h>\n{behind}"
        "typedef char right[IPPROTO_DIVERT == 254 && SOL_DIVERT == 254 ? 1 : -1];\n"
    )
    flags = [*STRICT, "-isystem", str(INCLUDE), "-c"]
    for words in (compiler.for_32_bit(), [compiler.name()]):
        subprocess.run([*words, *flags, source, "-o", tmp_path / "x.o"], check=True)


def test_the_example_compiles_and_says_how_it_is_used(tmp_path: Path) -> None:
    program = tmp_path / "reinject"
    compile_c(program, [FOLDER / "examples/reinject.c"], [*STRICT, f"-I{INCLUDE}"])
    for words in ((), ("0",), ("65536",), ("1", "2")):
        assert run(program, *words, status=1).stderr == "usage: reinject PORT\n"


# ---- manual pages


@pytest.mark.parametrize("page", sorted((FOLDER / "man").iterdir()), ids=lambda path: path.name)
def test_manual_pages_are_whole(page: Path) -> None:
    text = page.read_text()
    name, _, section = page.name.rpartition(".")
    assert f'.TH {name} {section} @DATE@ "divert @VERSION@"' in text
    assert f"\n.SH NAME\n{name} \\- " in text
    # A minus that is not escaped is a hyphen, which cannot be pasted into a shell.
    assert not re.search(r"(?m)^[^.'].*\s-{1,2}\w", text)
    if shutil.which("groff"):
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", "-z", page],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""


def test_manuals_name_the_options_that_there_are() -> None:
    options = (PROGRAMS / "interceptor/interceptor-options.c").read_text()
    page = (FOLDER / "man/interceptor.8").read_text().replace("\\-", "-")
    for name in re.findall(r'\{ "([a-z]+)", (?:no|required)_argument', options):
        assert re.search(rf"(?m)^\.BI? --{name}\b", page), name


# ---- divert status

NAMES = "input ACCEPT 0 0 0 0 0\n"
PORTS = """\
 port     queued  delivered    dropped   injected
 1234         28          7          1          6
65535          0          0          0          0
no-listener 3
"""
RULE = "    input 00000000/00000000->00000000/00000000 - 0 0 1 0 0 0 0 0-65535 0-65535 AFF X00 {}\n"


def status(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command on a machine whose /proc is below `root`."""
    text = (FOLDER / "divert").read_text()
    assert text.count("/proc") == text.count("proc=/proc\n") == 1
    text = text.replace("proc=/proc\n", f"proc={root}/proc\n")
    script = root / "divert.sh"
    script.write_text(text)
    return subprocess.run(
        ["sh", script, *(words or ("status",))], capture_output=True, text=True, check=False
    )


def put(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_status_of_a_machine_with_the_module(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "proc/modules": "tun 61440 0 - Live 0x0\ndivert 90112 1 - Live 0x0 (OE)\n",
            "proc/net/divert": PORTS,
            "proc/net/divert_stat": "over-budget 4\n",
            "proc/net/ip_fwchains": RULE.format("DIVERT") + RULE.format("ACCEPT"),
            "proc/sys/net/ipv4/divert/defrag": "0\n",
            "proc/sys/net/ipv4/divert/mem": "1\t2\t3\n",
        },
    )
    done = status(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "module: loaded",
        "defrag: 0",
        "mem: 1\t2\t3",
        "rules: 2, of which 1 divert",
        "no-listener: 3",
        "over-budget: 4",
        "sockets: 2",
        *PORTS.splitlines()[:3],
    ]


def test_status_reads_sysctls_in_one_piece(tmp_path: Path) -> None:
    """Of which a read of one byte is all that there is; the shell's `read` makes no other."""
    real = Path("/proc/sys/kernel/pid_max")
    put(tmp_path, {"proc/net/divert": PORTS, "proc/sys/net/ipv4/divert/x": ""})
    (tmp_path / "proc/sys/net/ipv4/divert/pid_max").symlink_to(real)
    assert f"pid_max: {real.read_text().strip()}" in status(tmp_path).stdout.splitlines()


def test_status_without_rules_and_sockets(tmp_path: Path) -> None:
    files = {"proc/net/divert": "port queued\nno-listener 0\n", "proc/net/ip_fwchains": ""}
    put(tmp_path, files | {"proc/modules": "divertless 1 0 - Live 0x0\n"})
    assert status(tmp_path).stdout.splitlines() == [
        "module: none, divert sockets are part of this kernel",
        "rules: 0, of which 0 divert",
        "no-listener: 0",
        "sockets: 0",
    ]
    (tmp_path / "proc/net/ip_fwchains").unlink()
    assert "rules: only root can count them" in status(tmp_path).stdout.splitlines()


def test_status_where_there_is_nothing_of_it(tmp_path: Path) -> None:
    done = status(tmp_path)
    assert done.stdout == "module: not loaded (as root: modprobe divert)\n"
    assert (done.returncode, done.stderr) == (1, "")
    put(tmp_path, {"proc/modules": "divert 90112 0 - Live 0x0\n"})
    done = status(tmp_path)
    assert done.stdout.startswith("module: loaded, but not for this network namespace")
    assert done.returncode == 1


@pytest.mark.parametrize("words", [("stat",), ("status", "now"), ("",), ("--help",)])
def test_other_words_are_no_command(words: tuple[str, ...], tmp_path: Path) -> None:
    done = status(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "usage: divert status\n"
