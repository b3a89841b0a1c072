# SPDX-License-Identifier: GPL-2.0-only
"""What a variant boots: its own kernel and image, or a distribution's kernel with the module."""

from __future__ import annotations

import gzip
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base.errors import (
    InfrastructureError,
    MissingSourceError,
    UnavailableError,
    UserError,
)
from harness.boot import bootable
from harness.image import tools
from harness.kernel import debiankernel, module
from harness.kernel.debiankernel import Distributed
from harness.kernel.module import Module
from harness.matrix import kernels, variants
from harness.matrix.kernels import Kernel
from tests.unit.image.test_cpio import fields
from tests.unit.support.toybuilds import Builds, archives

MODERN = "linux-6.1"


@pytest.fixture(name="builds", autouse=True)
def _builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(tmp_path, monkeypatch)


def modules_loaded(initrd: Path) -> list[str]:
    data = gzip.decompress(initrd.read_bytes())
    (listed,) = (content for name, _, content, _, _ in fields(data) if name == "etc/modules")
    return listed.decode().splitlines()


def test_kernel_that_is_built_here(builds: Builds) -> None:
    given = ("linux-2.2.12=/x",)
    userland = bootable.userland(kernels.named(kernels.REFERENCE), given)
    built = userland.boot(variants.named("off"))
    assert builds.asked == ["image linux-2.2.12=/x", "kernel off linux-2.2.12=/x"]
    assert (built.kernel.name, built.variant.name) == (kernels.REFERENCE, "off")
    assert built.kernel_for(long=False) == builds.here / "off/bzImage"
    assert built.kernel_for(long=True) == builds.here / "off/bzImage"
    assert built.image.initrd == builds.here / "ext2.gz"
    assert built.objects == builds.here / "off/objects"
    assert built.system_map == builds.here / "off/System.map"


def test_kernel_of_a_distribution(builds: Builds) -> None:
    userland = bootable.userland(kernels.named(MODERN), ("x=y",), ("linux-2.2.12",))
    built = userland.boot(variants.named(f"{MODERN}:base"))
    assert builds.asked == [
        "userland without linux-2.2.12 x=y",
        f"package {MODERN}",
        "module 6.1.0-1-amd64",
    ]
    assert built.kernel_for(long=False) == builds.here / "vmlinux"
    assert built.kernel_for(long=True) == builds.here / "vmlinuz"
    assert built.image.initrd.is_file()
    assert (built.objects, built.system_map) == (None, None)


@pytest.mark.parametrize(
    ("short", "line"),
    [
        ("stock", None),
        ("base", "divert passthrough=0 defrag=0"),
        ("passthrough", "divert passthrough=1 defrag=0"),
        ("defrag", "divert passthrough=0 defrag=1"),
        ("passthrough+defrag", "divert passthrough=1 defrag=1"),
    ],
)
def test_options_are_the_modules_parameters(builds: Builds, short: str, line: str | None) -> None:
    """O3: every combination; the kernel as it is has no module."""
    built = bootable.userland(kernels.named(MODERN)).boot(variants.named(f"{MODERN}:{short}"))
    loaded = modules_loaded(built.image.initrd)
    assert loaded == ["dummy", *([line] if line else [])]
    assert ("module 6.1.0-1-amd64" in builds.asked) == (line is not None)


@pytest.mark.parametrize("name", [kernels.REFERENCE, MODERN, "linux-6.12"])
def test_no_qemu_is_told_before_anything_is_built(
    builds: Builds, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = kernels.named(name)
    monkeypatch.setattr(
        shutil, "which", lambda program: None if program == row.hardware.program else "/bin/sh"
    )
    with pytest.raises(InfrastructureError) as caught:
        bootable.userland(row)
    assert caught.value.message == f"this host lacks {row.hardware.program}"
    assert not isinstance(caught.value, UnavailableError), "a host without it is not a pass"
    assert builds.asked == []


@pytest.mark.parametrize("name", ["base", f"{MODERN}:base", f"{MODERN}:stock"])
def test_times_and_whether_all_was_there(builds: Builds, name: str) -> None:
    builds.seconds = 2.0
    variant = variants.named(name)
    userland = bootable.userland(kernels.named(variant.kernel))
    assert (userland.seconds, userland.cached) == (2.0, False)
    first = userland.boot(variant)
    assert first.seconds >= (2.0 if name == "base" or not variant.module else 4.0)
    assert not first.cached
    builds.seconds = 0.0
    userland = bootable.userland(kernels.named(variant.kernel))
    assert (userland.seconds, userland.cached) == (0.0, True)
    again = userland.boot(variant)
    assert (again.seconds, again.cached) == (0.0, True)
    assert again.image.initrd == first.image.initrd


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("no such package", "see to the network"),
        InfrastructureError("the package has no module dummy"),
    ],
)
def test_package_that_cannot_be_had_is_never_another(
    builds: Builds, error: InfrastructureError, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []

    def obtain(row: Kernel) -> Distributed:
        wanted.append(row.name)
        raise error

    monkeypatch.setattr(debiankernel, "obtain", obtain)
    userland = bootable.userland(kernels.named("linux-6.12"))
    with pytest.raises(type(error)) as caught:
        userland.boot(variants.named("linux-6.12:base"))
    assert caught.value is error
    assert wanted == ["linux-6.12"]


def test_kernel_of_a_distribution_needs_none_of_upstreams_archives(
    builds: Builds, capsys: pytest.CaptureFixture[str]
) -> None:
    variant = variants.named(f"{MODERN}:stock")
    bootable.build(variant)
    assert builds.asked[0] == "userland without linux-2.2.12 without ipchains-1.3.9"
    told = capsys.readouterr().err
    assert "ipchains 1.3.9 is missing, so our own program is in its place; put " in told
    archives("linux-2.2.12.tar.gz", "ipchains-1.3.9.tar.gz")
    builds.asked.clear()
    bootable.build(variant)
    assert builds.asked[0] == "userland"


def test_reference_without_its_archive_is_an_error(builds: Builds) -> None:
    archives("ipchains-1.3.9.tar.gz")
    with pytest.raises(MissingSourceError, match=r"Linux 2\.2\.12"):
        bootable.build(variants.named("base"))
    assert builds.asked == []


def table(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_table_of_what_is_built(builds: Builds, capsys: pytest.CaptureFixture[str]) -> None:
    builds.seconds = 3.25
    bootable.build_and_print(
        variant=f"off,{MODERN}:base,{MODERN}:stock", matrix=None, jobs=1, given=()
    )
    here = str(builds.here)
    assert table(capsys) == [
        ["variant", "built", "in", "file", "where"],
        ["off", "3.2", "s", "bzImage", f"{here}/off/bzImage"],
        ["System.map", f"{here}/off/System.map"],
        [".config", f"{here}/off/config"],
        [f"{MODERN}:stock", "3.2", "s", "vmlinux", f"{here}/vmlinux"],
        ["headers", f"{here}/headers"],
        [f"{MODERN}:base", "6.5", "s", "vmlinux", f"{here}/vmlinux"],
        ["headers", f"{here}/headers"],
        ["divert.ko", f"{here}/divert.ko"],
    ]


def test_table_of_what_was_there(builds: Builds, capsys: pytest.CaptureFixture[str]) -> None:
    bootable.build_and_print(
        variant=None, matrix="defrag", kernels_named=MODERN, jobs=1, given=("x=y",)
    )
    assert [row[:2] for row in table(capsys) if "(before)" in row] == [
        [f"{MODERN}:base", "(before)"],
        [f"{MODERN}:defrag", "(before)"],
    ]


def test_variant_that_does_not_build_takes_no_other(
    builds: Builds, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Module:
        raise InfrastructureError("x.c:1: error", "its log: there")

    monkeypatch.setattr(module, "build", broken)
    with pytest.raises(InfrastructureError) as caught:
        bootable.build_and_print(
            variant=f"off,{MODERN}:base,{MODERN}:defrag,{MODERN}:stock",
            matrix=None,
            jobs=1,
            given=(),
        )
    text = f"{MODERN}:base, {MODERN}:defrag: x.c:1: error\nits log: there"
    assert caught.value.message == text
    rows = [row for row in table(capsys) if row[0] in ("off", f"{MODERN}:base", f"{MODERN}:stock")]
    assert [row[0] for row in rows] == ["off", f"{MODERN}:stock", f"{MODERN}:base"]
    assert rows[-1][1:] == ["NOT", "BUILT"]


def test_image_with_tools_is_another_one_with_more_memory(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tests run on stays what it was, file and machine."""
    built = bootable.userland(kernels.named(MODERN)).boot(variants.named(f"{MODERN}:base"))
    other = replace(built.image, initrd=builds.here / "with-tools")
    monkeypatch.setattr(tools, "build", lambda _: other)
    more = built.with_tools()
    assert more.image == other
    assert more.hardware == replace(built.hardware, memory_mib=tools.load().memory_mib)
    assert built.image != other
    assert built.hardware == built.variant.hardware
    assert more.bzimage == built.bzimage


def test_memory_of_a_kernel_that_has_more_stays(builds: Builds) -> None:
    built = bootable.userland(kernels.named(MODERN)).boot(variants.named(f"{MODERN}:base"))
    assert replace(built, memory_mib=1).hardware == built.variant.hardware


@pytest.mark.parametrize("variant", ["base", "stock", "passthrough"])
def test_programs_of_today_are_refused_for_2_2_12(variant: str) -> None:
    with pytest.raises(
        UserError, match=rf"--tools: {variant} is Linux 2\.2\.12.*\n.*linux-6\.1:base"
    ):
        bootable.require_tools(variants.named(variant))
