# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots to begin guests from: made once, and anew for a guest that is another."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from harness.base import digests, paths, store
from harness.base.errors import GuestLostError, InfrastructureError
from harness.guest import accelerator, ready
from harness.guest.accelerator import Accelerator
from harness.guest.machine import MachineSpec
from harness.guest.qemu import PLAIN


class Booted:
    """In the place of a Machine: a guest that boots, and whose snapshot is some bytes."""

    specs: list[MachineSpec]
    fails: bool

    def __init__(self, spec: MachineSpec) -> None:
        self.specs.append(spec)

    def __enter__(self) -> Self:
        if self.fails:
            raise GuestLostError("no boot", "no boot, guest of variant base")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        pass

    def check(self) -> None:
        pass

    def snapshot(self, name: str) -> None:
        assert name == Path(ready.FILE).stem, (
            "Machine begins from the one that the file is named for"
        )

    def write_snapshots(self, target: Path) -> None:
        target.write_bytes(b"memory of a guest")


@pytest.fixture(name="booted")
def _booted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Booted]:
    Booted.specs, Booted.fails = [], False
    monkeypatch.setattr(ready, "Machine", Booted)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(accelerator, "choose", lambda *_: Accelerator("tcg", "for this test"))
    return Booted


@pytest.fixture(name="spec")
def _spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MachineSpec:
    """What is to be booted, with a QEMU of the test's own."""
    for name in ("kernel", "initrd", "program"):
        (tmp_path / name).write_text(name)
    (tmp_path / "program").chmod(0o755)
    hardware = replace(PLAIN, program=str(tmp_path / "program"))
    key = tmp_path / "key"
    files = (tmp_path / "kernel", tmp_path / "initrd", key, key)
    return MachineSpec("base", *files, tmp_path / "run", hardware=hardware)


def test_first_use_boots_a_guest_of_its_own_and_the_next_none(
    booted: type[Booted], spec: MachineSpec
) -> None:
    first, second = ready.begin(spec), ready.begin(spec)
    (boot,) = booted.specs
    assert boot == replace(spec, folder=spec.folder / "first")
    assert first.spec == second.spec
    assert first.spec == replace(spec, begin_from=ready.folder_of(spec) / ready.FILE)
    assert (first.made, second.made) == (True, False)


def _other_kernel(spec: MachineSpec) -> MachineSpec:
    spec.kernel.write_text("another kernel")
    return spec


def _other_image(spec: MachineSpec) -> MachineSpec:
    """As one with other keys is."""
    spec.initrd.write_text("another image")
    return spec


def _updated_qemu(spec: MachineSpec) -> MachineSpec:
    os.utime(spec.hardware.program, (1, 1))
    return spec


CHANGES: list[Callable[[MachineSpec], MachineSpec]] = [
    _other_kernel,
    _other_image,
    _updated_qemu,
    lambda spec: replace(spec, append="quiet"),
    lambda spec: replace(spec, hardware=replace(spec.hardware, memory_mib=512)),
    lambda spec: replace(spec, hardware=replace(spec.hardware, processors=2)),
]


@pytest.mark.parametrize("change", CHANGES, ids=["kernel", "image", "qemu", "line", "mib", "smp"])
def test_another_guest_has_another_snapshot(
    change: Callable[[MachineSpec], MachineSpec], booted: type[Booted], spec: MachineSpec
) -> None:
    before = ready.folder_of(spec)
    other = change(spec)
    assert ready.folder_of(other) != before
    assert ready.folder_of(replace(other, folder=Path("/elsewhere"))) == ready.folder_of(other)


def test_file_of_the_store_is_known_by_its_digest_which_is_not_reckoned_again(
    booted: type[Booted], spec: MachineSpec, tmp_path: Path
) -> None:
    """A kernel of today is 50 MB; each boot holds it to that digest."""

    def make(folder: Path) -> None:
        (folder / "vmlinux").write_text("a kernel")

    place = tmp_path / ("1" * 32)
    kept = replace(spec, kernel=store.keep(place, make, "toy").path / "vmlinux")
    before = ready.folder_of(kept)
    digest = digests.beside(place).read_text()
    digests.beside(place).write_text(digest.replace(digest[:8], "0" * 8))
    assert ready.folder_of(kept) != before


def test_damaged_snapshot_is_made_anew(
    booted: type[Booted], spec: MachineSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ready.begin(spec).spec.begin_from
    assert file is not None
    store._whole.clear()
    file.write_bytes(b"memory of a ghost")
    assert ready.begin(spec).made
    assert file.read_bytes() == b"memory of a guest"
    assert "it is made anew" in capsys.readouterr().err


def test_under_kvm_it_boots(
    booted: type[Booted], spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerator, "choose", lambda *_: Accelerator("kvm", "for this test"))
    assert ready.begin(spec) == ready.Begun(spec)
    assert booted.specs == []
    assert ready.begin(replace(spec, accelerator="tcg")).spec.begin_from


def test_guest_that_does_not_boot_leaves_nothing(booted: type[Booted], spec: MachineSpec) -> None:
    booted.fails = True
    with pytest.raises(GuestLostError, match="no boot"):
        ready.begin(spec)
    booted.fails = False
    assert ready.begin(spec).made


def test_one_that_does_not_load_is_made_anew_once(
    booted: type[Booted], spec: MachineSpec, capsys: pytest.CaptureFixture[str]
) -> None:
    """After that, guests of this kind boot, and it is said why each time."""
    ready.begin(spec)
    error = InfrastructureError("cannot begin from the snapshot 'ready': bad version", "hint")
    ready.give_up(ready.begin(spec), error)
    again = ready.begin(spec)
    assert again.made
    ready.give_up(again, error)
    said = capsys.readouterr().err
    assert said.count("its snapshot cannot be used (cannot begin from the snapshot") == 2
    assert ready.begin(spec) == ready.Begun(spec)
    assert "did not load before (cannot begin" in capsys.readouterr().err
    assert len(booted.specs) == 2


def test_those_used_last_are_kept(
    booted: type[Booted], spec: MachineSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "MOST", 2)
    specs = [replace(spec, append=str(number)) for number in range(3)]
    for number, each in enumerate(specs):
        ready.begin(each)
        os.utime(ready.folder_of(each).with_suffix(".lock"), (number, number))
    there = [ready.folder_of(each).is_dir() for each in specs]
    assert there == [False, True, True]
    assert not digests.beside(ready.folder_of(specs[0])).exists()
