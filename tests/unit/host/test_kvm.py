# SPDX-License-Identifier: GPL-2.0-only
"""`doctor --kvm` says who is to blame: the host (3) or what became of a guest under KVM (4)."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from harness.base.errors import GuestError, InfrastructureError, MissingSourceError
from harness.boot import bootable
from harness.guest import accelerator
from harness.guest.accelerator import Accelerator
from harness.host import kvm, smoke
from harness.host.smoke import StepTaken
from harness.interactive import session
from harness.matrix import variants

BOOTED = Accelerator("kvm", "booted this kernel in 0.8 s")


class Built:
    """What a variant boots, as far as it is asked."""

    def __init__(self, row: variants.Variant) -> None:
        self.kernel = type("Row", (), {"name": row.kernel})
        self.variant, self.bzimage = row, Path()
        self.image = type("Image", (), {"initrd": Path()})


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with KVM, which does all that it is to do."""
    device = tmp_path / "kvm"
    device.touch()
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(accelerator, "KVM_DEVICE", device)
    monkeypatch.setattr(fcntl, "ioctl", lambda _fd, request, _: 12 if request == 0xAE00 else -1)
    monkeypatch.setattr(bootable, "build", lambda row, _given: Built(row))
    monkeypatch.setattr(session, "new_folder", lambda _kind: tmp_path / "run")
    monkeypatch.setattr(accelerator, "probe", lambda *_: BOOTED)
    steps = StepTaken("linux-2.2.12", "boot", "logged in")
    monkeypatch.setattr(smoke, "take", lambda *_: iter([steps]))
    return device


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    kvm.doctor()
    out = capsys.readouterr().out
    assert "booted this kernel in 0.8 s" in out
    assert out.rstrip().endswith("KVM does all that the tests need of it")


def test_no_device(host: Path) -> None:
    host.unlink()
    with pytest.raises(InfrastructureError, match="cannot be used: there is no") as error:
        kvm.doctor()
    assert "TCG" in error.value.hint


def test_a_device_that_the_kernel_refuses(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    with pytest.raises(InfrastructureError, match="Inappropriate ioctl"):
        kvm.doctor()
    monkeypatch.setattr(fcntl, "ioctl", lambda *_: 11)
    with pytest.raises(InfrastructureError, match="version 11, not 12"):
        kvm.doctor()


def test_kvm_that_boots_nothing_is_the_hosts_affair(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = Accelerator("tcg", "KVM did not boot this kernel in 4 s")
    monkeypatch.setattr(accelerator, "probe", lambda *_: slow)
    with pytest.raises(InfrastructureError, match=r"of no use here for linux-2\.2\.12"):
        kvm.doctor()
    assert "did not boot this kernel in 4 s" in capsys.readouterr().out


def test_a_guest_that_crashes_is_the_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    panic = Accelerator("tcg", "KVM did not boot this kernel: Kernel panic", crashed=True)
    monkeypatch.setattr(accelerator, "probe", lambda *_: panic)
    with pytest.raises(GuestError, match="probe: KVM did not boot this kernel: Kernel panic"):
        kvm.doctor()


def test_a_step_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = StepTaken("linux-2.2.12", "restore", "", "not undone")
    monkeypatch.setattr(smoke, "take", lambda *_: iter([failed]))
    with pytest.raises(GuestError, match=r"linux-2\.2\.12, restore: not undone") as error:
        kvm.doctor()
    assert accelerator.CHOICE in error.value.hint


def test_a_kernel_that_cannot_be_had_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_row: object, _given: object) -> Built:
        raise MissingSourceError("Linux 2.2.12 is not on this machine")

    monkeypatch.setattr(bootable, "build", missing)
    with pytest.raises(InfrastructureError, match="nothing was tried"):
        kvm.doctor()
    assert "linux-2.2.12: NOT RUN: Linux 2.2.12 is not" in capsys.readouterr().err
