# SPDX-License-Identifier: GPL-2.0-only
"""What a run says first: what it tests, what it has to build and to download, and how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import store
from harness.base.errors import InfrastructureError
from harness.image import image
from harness.kernel import debiankernel, kernel
from harness.matrix import variants
from harness.run import estimate, plan
from harness.run.request import Request
from tests.unit.support.toybuilds import Builds, archives

TESTS = {f"t.py::test_{n}": ("S1/opens",) for n in range(1000)}


@pytest.fixture(name="builds", autouse=True)
def _builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    builds = Builds(tmp_path, monkeypatch)
    monkeypatch.setattr(estimate, "processors", lambda: 2)
    archives("linux-2.2.12.tar.gz", "ipchains-1.3.9.tar.gz")
    return builds


def of(*names: str, jobs: int = 4) -> Request:
    known = variants.load()
    return Request(tuple(known[name] for name in names), jobs=jobs, tests=TESTS)


def absent(what: str, *, download: bool = False) -> Callable[..., object]:
    def look(*_: object, **__: object) -> object:
        raise store.AbsentError(what, download=download)

    return look


def test_all_is_there() -> None:
    foreseen = plan.foresee(of("base", "linux-6.1:base"))
    assert foreseen.lines == (
        "1000 tests on each of base, linux-6.1:base; 2 guests at once",
        "built before: the guest image, kernel base, kernel linux-6.1",
        "it takes about 8 minutes (by what it took elsewhere: two processors, without KVM)",
    )
    assert foreseen.foretold.keys() == {"base", "linux-6.1:base"}


def test_nothing_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = absent("the folder of source packages", download=True)
    for name in ("build", "userland"):
        monkeypatch.setattr(image, name, packages)
    monkeypatch.setattr(kernel, "build", absent("kernel x"))
    monkeypatch.setattr(debiankernel, "obtain", packages)
    lines = plan.foresee(of("base", "off", "linux-6.1:base")).lines
    built = "the guest image, kernel base, kernel off, kernel linux-6.1"
    assert lines[1] == f"to be built: {built}"
    assert lines[2] == (
        "to be downloaded: packages for the guest image, packages for kernel linux-6.1; about 88 MB"
    )
    assert lines[3].startswith("it takes about 10 minutes, and the downloads (by what it took")


def test_archives_that_have_to_come(tmp_path: Path, builds: Builds) -> None:
    for path in (tmp_path / "cache" / "downloads").iterdir():
        path.unlink()
    lines = plan.foresee(of("linux-6.1:base")).lines
    assert "to be downloaded: Linux 2.2.12, ipchains 1.3.9; about 15 MB" in lines
    assert builds.asked[0] == "userland without ipchains-1.3.9 without linux-2.2.12"


def test_packing_alone_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(of("base"), tests={"t.py::test": ("S1/opens",)})
    monkeypatch.setattr(image, "build", absent(image.WHAT))
    packing = plan.foresee(few)
    assert packing.lines[-1].startswith("it takes less than a minute (")
    monkeypatch.setattr(image, "build", absent("libc for the guest"))
    whole = plan.foresee(few).seconds
    assert packing.seconds is not None
    assert whole is not None
    assert whole - packing.seconds > 10


def test_many_variants_are_counted() -> None:
    names = [
        name for name in variants.load() if name.startswith(("linux-6.1:", "base", "off", "d"))
    ]
    lines = plan.foresee(of(*names)).lines
    assert lines[0].startswith(f"1000 tests on each of {len(names)} variants: 3 of linux-2.2.12, ")
    assert lines[0].endswith("; 4 guests at once")


def test_what_is_wrong_is_left_to_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise InfrastructureError("this host lacks a compiler")

    monkeypatch.setattr(kernel, "build", broken)
    assert "kernel base" not in "".join(plan.foresee(of("base")).lines)


def test_without_the_tests_no_time_is_told() -> None:
    foreseen = plan.foresee(replace(of("base"), tests={}))
    assert foreseen.lines == (
        "tests on base; 1 guest at once",
        "built before: the guest image, kernel base",
    )
    assert (foreseen.foretold, foreseen.seconds) == ({}, None)
