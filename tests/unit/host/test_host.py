# SPDX-License-Identifier: GPL-2.0-only
"""Setting up a host, on a PATH of the test's own with an apt-get that is a shell script."""

from __future__ import annotations

import os
import re
import ssl
import subprocess
from pathlib import Path

import pytest

from harness.base import compiler, paths, terminal
from harness.base.errors import InfrastructureError
from harness.host import host
from tests.unit.support.toyhost import Toy

ENOUGH = "this host has all the programs that are needed\n"


@pytest.fixture(name="toy")
def _toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A host with this Python and nothing that the harness needs, but for APT; of root's."""
    toy = Toy(tmp_path / "toy", tmp_path / "checkout", uid=0)
    toy.installed("python3-venv", "ca-certificates")
    for name, value in toy.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(compiler.VARIABLE, raising=False)
    monkeypatch.setattr(host, "SCRIPT", toy.checkout / "harness" / "host" / "setup.sh")
    monkeypatch.setattr(paths, "HARNESS", toy.checkout / "harness")
    monkeypatch.setattr(os, "geteuid", lambda: toy.uid)
    compiler._ask.cache_clear()
    return toy


def test_all_is_said_then_installed(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    host.setup()
    said = capfd.readouterr().err
    for need in host.load():
        if need.name not in {"python3", "CA certificates", "apt-get"} and not need.task:
            assert re.search(rf"  {re.escape(need.name)} \(package \S+\): {need.reason}", said)
    assert said.index("genext2fs") < said.index("running: apt-get")
    assert said.endswith(ENOUGH)
    update, install = toy.calls
    assert update.endswith(" update")
    assert {"bin86", "gcc-12-multilib", "qemu-system-x86"} <= set(install.split())
    assert "gcc-multilib" not in install.split()
    host.setup()
    assert capfd.readouterr().err == ENOUGH
    assert len(toy.calls) == 2


def test_without_root_the_command_is_printed(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    toy.uid = 1000
    os.environ["TOY_UID"] = "1000"
    with pytest.raises(InfrastructureError) as caught:
        host.setup()
    assert str(caught.value) == ""  # all is said
    last = capfd.readouterr().err.splitlines()[-1]
    assert re.search(r"run: sudo apt-get install --no-remove \S+ bc bin86 .*zstd$", last)
    assert toy.calls == []


def test_check_only_installs_nothing(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InfrastructureError):
        host.setup(check_only=True)
    assert "run: apt-get install" in capfd.readouterr().err
    assert toy.calls == []


def test_apt_get_that_fails(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    toy.withdraw("bc")
    with pytest.raises(InfrastructureError):
        host.setup()
    assert "E: Unable to locate package bc" in capfd.readouterr().err


def test_what_is_still_missing_is_named(toy: Toy) -> None:
    toy.withdraw("bc")
    toy.offer("bc", "1.0")
    with pytest.raises(InfrastructureError, match=r"still lacks bc\n"):
        host.setup()


def test_versions(toy: Toy) -> None:
    host.setup()
    needs = {need.name: need for need in host.load()}
    assert host.version(needs["make"]) == "version 1"
    assert host.version(needs["python3"]).startswith("Python 3.")
    assert host.version(needs["ld86"]) == ""
    (toy.folder / "bin/make").unlink()
    assert host.version(needs["make"]) == ""


def test_the_table_names_the_packages(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    rows = host.table()
    packages = rows.columns[-1]
    assert "package gcc-12-multilib" in packages
    assert "package qemu-system-x86" in packages
    host.print_packages()
    assert capsys.readouterr().out.split() == sorted(set(host.packages().values()))


@pytest.mark.parametrize(
    ("option", "lacking"), [("-m32", ["gcc -m32"]), ("host.c", ["headers of C", "gcc -m32"])]
)
def test_a_compiler_that_cannot_do_all_that_builds_want(
    toy: Toy, option: str, lacking: list[str]
) -> None:
    host.setup()
    toy.program("gcc", f'case "$*" in *{option}*) exit 1;; esac\n')
    compiler._ask.cache_clear()
    assert [need.name for need in host.missing()] == lacking


def test_a_host_without_certificates(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    host.setup()
    nowhere = ssl.get_default_verify_paths()._replace(cafile="", capath=str(toy.folder / "none"))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    assert [need.name for need in host.missing()] == ["CA certificates"]


@pytest.mark.parametrize("flag", ["-m32", "-m64"])
def test_the_probe_reaches_the_headers_that_builds_fail_without(flag: str) -> None:
    words = compiler.for_32_bit() if flag == "-m32" else [compiler.name(), flag]
    done = subprocess.run(
        [*words, "-M", str(paths.HARNESS / "host" / "host.c")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for name in ("asm/errno.h", "asm/socket.h", "asm/types.h", "linux/if_ether.h"):
        assert f"/{name}" in done.stdout, name


def test_what_one_task_alone_needs_is_neither_asked_for_nor_installed(
    toy: Toy, capfd: pytest.CaptureFixture[str]
) -> None:
    """But `doctor` says whether it is there, and for what."""
    assert "gdb" in [need.name for need in host.load()]
    assert "gdb" not in [need.name for need in host.missing()]
    host.setup()
    assert " gdb" not in capfd.readouterr().err
    terminal.show(host.table())
    said = capfd.readouterr().out
    assert re.search(r"gdb +not here +.*for ./inv gdb alone +package gdb", said)
