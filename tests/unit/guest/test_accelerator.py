# SPDX-License-Identifier: GPL-2.0-only
"""KVM is chosen only when a probe booted; the answer is remembered. A script plays QEMU."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import owntime
from harness.base.errors import UserError
from harness.guest import accelerator, qemu
from harness.guest.accelerator import choose, kernel_release


def bzimage(path: Path, release: str = "2.2.12") -> Path:
    """The head of a kernel, as far as its release is told by it."""
    head = bytearray(0x600)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x300).to_bytes(2, "little")
    text = f"{release} (root@localhost) #1\0".encode()
    head[0x500 : 0x500 + len(text)] = text
    path.write_bytes(bytes(head))
    return path


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    return bzimage(tmp_path / "bzImage")


@pytest.fixture(autouse=True)
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host whose /dev/kvm is a file that can be used, with a cache of its own."""
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(accelerator.CHOICE, raising=False)
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "KVM_DEVICE", device)
    monkeypatch.setattr(accelerator, "PROBE_SECONDS", 1.0)
    yield device


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """QEMU's program file; what it was started with is in the file `started` beside it."""
    program = tmp_path / "bin" / qemu.PROGRAM
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    yield program


def script(program: Path, boot: str) -> None:
    program.write_text(
        f"""#!/bin/sh
        if [ "$1" = --version ]; then echo "QEMU emulator version 7.2.22 (test)"; exit; fi
        echo "$@" >>{program.parent}/started
        {boot}
        """
    )
    program.chmod(0o755)


def boots(program: Path) -> int:
    started = program.parent / "started"
    return len(started.read_text().splitlines()) if started.exists() else 0


def test_a_kernel_tells_its_release(kernel: Path, tmp_path: Path) -> None:
    assert kernel_release(kernel) == "2.2.12"
    (tmp_path / "other").write_bytes(b"\x7fELF")
    assert kernel_release(tmp_path / "other") == ""


def test_no_device_costs_no_probe(kernel: Path, host: Path, play: Path) -> None:
    script(play, "exit 0")
    host.unlink()
    chosen = choose(kernel, kernel)
    assert (chosen.name, boots(play)) == ("tcg", 0)
    assert str(host) in chosen.reason


def test_a_boot_means_kvm_and_is_remembered(kernel: Path, play: Path) -> None:
    script(play, "echo DIVERT-GUEST-READY; sleep 100")
    chosen = choose(kernel, kernel)
    assert chosen.name == "kvm"
    assert chosen.reason.startswith("booted this kernel in ")
    assert choose(kernel, kernel) == chosen
    assert boots(play) == 1
    assert "-accel kvm" in (play.parent / "started").read_text()


def test_another_kernel_is_probed_anew(kernel: Path, play: Path, tmp_path: Path) -> None:
    script(play, "echo DIVERT-GUEST-READY; sleep 100")
    choose(kernel, kernel)
    choose(bzimage(tmp_path / "new", "6.1.0"), kernel)
    assert boots(play) == 2


def test_another_machine_is_probed_anew(kernel: Path, play: Path) -> None:
    """KVM may do for one model of the processor, and not for another."""
    script(play, "echo DIVERT-GUEST-READY; sleep 100")
    choose(kernel, kernel)
    choose(kernel, kernel, replace(qemu.PLAIN, cpu="qemu32,-tsc"))
    choose(kernel, kernel, replace(qemu.PLAIN, processors=2))
    assert boots(play) == 3


def test_a_device_of_others_is_said_to_be_so(
    kernel: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "be in the group kvm" in choose(kernel, kernel).reason


@pytest.mark.parametrize("name", ["tcg", "kvm"])
def test_the_environment_has_the_choice(
    kernel: Path, play: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(play, "exit 0")
    monkeypatch.setenv(accelerator.CHOICE, name)
    assert choose(kernel, kernel).name == name
    assert boots(play) == 0
    monkeypatch.setenv(accelerator.CHOICE, "hvf")
    with pytest.raises(UserError, match="DIVERT_ACCELERATOR=hvf"):
        choose(kernel, kernel)


@pytest.mark.slow
def test_waiting_for_a_processor_is_not_time_of_kvm(
    kernel: Path, play: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy host a guest that does boot would else be taken for one that does not."""
    script(play, "sleep 1.5; echo DIVERT-GUEST-READY; sleep 100")
    monkeypatch.setattr(owntime.OwnTime, "seconds", lambda _self: 0.2)
    assert choose(kernel, kernel).name == "kvm"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("boot", "reason", "crashed"),
    [
        ("echo half a boot; exec sleep 100", "in 1 s", False),
        ("echo Kernel panic: no; exec sleep 100", ": Kernel panic: no", True),
        ("echo kvm: no such thing >&2; exit 1", ": kvm: no such thing", False),
        ("exit 0", ": the guest reset", True),
    ],
)
def test_anything_else_means_tcg(
    kernel: Path, play: Path, boot: str, reason: str, crashed: bool
) -> None:
    script(play, boot)
    chosen = choose(kernel, kernel)
    assert (chosen.name, chosen.crashed) == ("tcg", crashed)
    assert chosen.reason.removeprefix("KVM did not boot this kernel").strip() == reason
    assert choose(kernel, kernel) == chosen
    assert boots(play) == 1
