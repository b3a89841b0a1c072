# SPDX-License-Identifier: GPL-2.0-only
"""Whose compiler a module is made with."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.base import compiler
from harness.base.errors import InfrastructureError
from harness.debian import bootstrap, namespace
from harness.debian.namespace import Inside, Outcome
from harness.kernel import toolchain
from harness.kernel.debiankernel import Headers
from harness.kernel.toolchain import Toolchain

HEADERS = Headers("9.9-amd64", Path("/h/usr/src/linux-headers-9.9-amd64"), "print", 0.0)


def headers(version: int, suite: str = "trixie-backports", root: Path = Path("/h")) -> Headers:
    """Those of a kernel that GCC of this version has compiled."""
    path = root / "usr/src/linux-headers-9.9-amd64"
    return Headers("9.9-amd64", path, "print", 0.0, version, suite)


@pytest.fixture(autouse=True)
def _host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with gcc-12, and gcc that is version 14."""
    monkeypatch.delenv(compiler.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, version in (("gcc-12", 12), ("gcc-14", 14), ("gcc", 14)):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {version}\n")
        program.chmod(0o755)
    compiler._ask.cache_clear()


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (0, Toolchain("gcc-12")),
        (12, Toolchain("gcc-12")),
        # Its own, though another would be the host's choice.
        (14, Toolchain("gcc-14")),
        (11, Toolchain("gcc-12")),
        (13, Toolchain("gcc-13", "trixie")),
        (16, Toolchain("gcc-16", "trixie")),
    ],
)
def test_own_compiler_unless_the_kernel_needs_a_newer_one(
    version: int, expected: Toolchain
) -> None:
    assert toolchain.of(headers(version)) == expected


def test_compiler_that_somebody_has_named_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compiler.VARIABLE, "gcc-12")
    assert toolchain.of(headers(16)) == Toolchain("gcc-12")


def test_each_has_an_identity_of_its_own() -> None:
    known = [Toolchain("gcc-12"), Toolchain("gcc-14"), Toolchain("gcc-16", "forky")]
    known += [Toolchain("gcc-16", "sid")]
    assert len({each.identity for each in known}) == len(known)


@pytest.mark.parametrize(
    ("suite", "release"), [("trixie-backports", "trixie"), ("sid", "sid"), ("", "")]
)
def test_release_of_a_suite(suite: str, release: str) -> None:
    assert toolchain.base(suite) == release


class Room:
    """Stands for a root: what is laid out there, and asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
        self.laid_out: list[tuple[str, Sequence[str]]] = []
        self.asked: list[tuple[Inside, list[str]]] = []
        self.outcome = outcome
        monkeypatch.setattr(bootstrap, "lay_out", self._lay_out)
        monkeypatch.setattr(namespace, "run", self._run)
        monkeypatch.setattr(namespace, "remove", Path.rmdir)

    def _lay_out(self, release: str, wanted: Sequence[str], root: Path) -> None:
        self.laid_out.append((release, wanted))
        self.root = root

    def _run(
        self, inside: Inside, command: str, *, log: Path, seconds: float, env: Mapping[str, str]
    ) -> Outcome:
        assert env["LC_ALL"] == "C"
        self.asked.append((inside, shlex.split(command)))
        for mount in inside.mounts:
            assert mount.target.is_dir()
            mount.target.rmdir()
        log.touch()
        return self.outcome


def test_make_in_a_root_of_another_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(monkeypatch, Outcome(0, 1.0))
    work = tmp_path / "build/work"
    work.mkdir(parents=True)
    tools = toolchain.of(headers(16, "forky", tmp_path))
    tools.make(headers(16, "forky", tmp_path), work, ["W=1"], log=tmp_path / "log", seconds=1.0)
    assert room.laid_out == [("forky", ["gcc-16", *toolchain.TOOLS])]
    ((inside, words),) = room.asked
    kdir = "KDIR=/headers/usr/src/linux-headers-9.9-amd64"
    # Its headers name the compiler: none is given.
    assert words == ["make", "-C", "/work", kdir, "W=1"]
    seen = {(each.source, each.target.name, each.read_only) for each in inside.mounts}
    assert seen == {(tmp_path, "headers", True), (work, "work", False)}
    # The root is gone, and was not in what is kept.
    assert [path.name for path in work.parent.iterdir()] == ["work"]


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (Outcome(2, 1.0), "make in a root of forky failed"),
        (Outcome(137, 9.0, late=True), "make in a root of forky was still running after 9 s"),
    ],
)
def test_make_that_fails_in_a_root(
    outcome: Outcome, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Room(monkeypatch, outcome)
    work = tmp_path / "work"
    work.mkdir()
    tools, log = Toolchain("gcc-16", "forky"), tmp_path / "log"
    with pytest.raises(InfrastructureError, match=says) as caught:
        tools.make(headers(16, "forky", tmp_path), work, [], log=log, seconds=9.0)
    assert str(log) in caught.value.hint
    assert not (tmp_path / "work.root").exists()
