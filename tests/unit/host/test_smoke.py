# SPDX-License-Identifier: GPL-2.0-only
"""A guest that does not do what the tests need of it fails the step that is for that."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace, TracebackType
from unittest.mock import MagicMock

import pytest
from scapy.layers.inet import IP, UDP

from harness.base.errors import GuestError, GuestLostError
from harness.boot import bootable
from harness.check import smokerun
from harness.check.steps import Counts
from harness.guest.process import Result
from harness.host import smoke
from harness.interactive import session
from harness.matrix import variants

PACKET = IP(src="192.0.2.2", dst="198.51.100.2") / UDP(sport=9, dport=9) / b"smoke"


class Guest:
    """A guest that is well; its clock is ours, and goes back with a restore."""

    accelerator = "tcg"
    boot_seconds = 1.0

    def __init__(self) -> None:
        self.origin = time.monotonic()
        self.kept = 0.0
        self.files: set[str] = set()
        self.snapshot_files: set[str] = set()
        self.out: list[object] = []
        self.ssh = self
        self.process = MagicMock()
        self.process.expect.return_value = [f'{{"event":"packet","hex":"{bytes(PACKET).hex()}"}}']
        near = MagicMock(host_ip="192.0.2.2")
        far = MagicMock(host_ip="198.51.100.2")
        near.send.side_effect = self.out.append
        far.clear.side_effect = self.out.clear
        far.received.side_effect = lambda matches: [each for each in self.out if matches(each)]
        self.wires = (near, far)

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None: ...

    def check(self, command: str = "") -> str:
        """Both the machine's and the shell's."""
        if command.startswith("cat /proc/uptime"):
            return f"{time.monotonic() - self.origin:.2f} 0.00"
        if command.startswith("echo here"):
            self.files.add(smoke._FILE)
        if "sleep" in command:
            time.sleep(smoke._SECOND)
        return ""

    def run(self, _command: str) -> Result:
        return Result(0 if smoke._FILE in self.files else 1, "", "")

    def start(self, _command: str, *, ready: str) -> MagicMock:
        return self.process

    def barrier(self) -> None: ...

    def snapshot(self, _name: str) -> None:
        self.kept, self.snapshot_files = time.monotonic() - self.origin, set(self.files)

    def restore(self, _name: str) -> None:
        self.origin, self.files = time.monotonic() - self.kept, set(self.snapshot_files)


@pytest.fixture
def guest(monkeypatch: pytest.MonkeyPatch) -> Guest:
    guest = Guest()
    monkeypatch.setattr(smoke, "_SECOND", 0.1)
    monkeypatch.setattr(smoke, "_LEAST", 0.08)
    monkeypatch.setattr(smoke, "Machine", lambda _spec: guest)
    monkeypatch.setattr(session, "machine_spec", lambda *_: None)
    return guest


def taken() -> list[smoke.StepTaken]:
    built = SimpleNamespace(kernel=SimpleNamespace(name="linux"))
    return list(smoke.take(built, "kvm", Path()))  # type: ignore[arg-type]


def test_a_guest_that_is_well(guest: Guest) -> None:
    steps = taken()
    assert [each.step for each in steps] == ["boot", *smoke._STEPS]
    assert not any(each.failed for each in steps)


def undone_not(guest: Guest) -> None:
    guest.restore = lambda _name: None  # type: ignore[method-assign]


def clock_not(guest: Guest) -> None:
    def restore(_name: str) -> None:
        guest.files = set()

    guest.restore = restore  # type: ignore[method-assign]


def stands_still(guest: Guest) -> None:
    check = guest.check
    guest.check = lambda command="": (  # type: ignore[method-assign]
        "1.00 0.00" if command.startswith("cat") else check(command)
    )


def nothing_diverted(guest: Guest) -> None:
    guest.process.expect.side_effect = GuestError("the program still ran after 10 s")


def another_diverted(guest: Guest) -> None:
    guest.process.expect.return_value = ['{"event":"packet","hex":"4500"}']


def nothing_forwarded(guest: Guest) -> None:
    guest.wires[1].expect.side_effect = GuestError("no packet as expected on wire1")


def twice(guest: Guest) -> None:
    guest.wires[0].send.side_effect = lambda packet: guest.out.extend([packet, packet])


def lost(guest: Guest) -> None:
    def restore(_name: str) -> None:
        raise GuestLostError("oops", "oops, guest of variant base")

    guest.restore = restore  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("fault", "step", "words"),
    [
        (undone_not, "restore", "is there after the restore"),
        (clock_not, "restore", "has not gone back"),
        (stands_still, "clock", "slept"),
        (nothing_diverted, "packet", "still ran"),
        (another_diverted, "packet", "another packet"),
        (nothing_forwarded, "packet", "no packet"),
        (twice, "packet", "and 2 came out"),
        (lost, "restore", "oops"),
    ],
)
def test_a_fault_fails_its_step(
    guest: Guest, fault: Callable[[Guest], None], step: str, words: str
) -> None:
    fault(guest)
    last = taken()[-1]
    assert last.step == step
    assert words in last.failed


def test_a_guest_that_is_lost_after_a_step(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packet may have come through, and an oops with it."""
    check = guest.check

    def crashed(command: str = "") -> str:
        if not command and guest.process.wait.called:
            raise GuestLostError("oops", "oops, guest of variant base")
        return check(command)

    monkeypatch.setattr(guest, "check", crashed)
    assert taken()[-1] == smoke.StepTaken("linux", "packet", "", "oops, guest of variant base")


def test_no_boot(monkeypatch: pytest.MonkeyPatch, guest: Guest) -> None:
    def machine(_spec: object) -> Guest:
        raise GuestLostError("no boot", "no boot, guest of variant base")

    monkeypatch.setattr(smoke, "Machine", machine)
    assert [each.failed for each in taken()] == ["no boot, guest of variant base"]


def test_steps_of_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = [row for row in variants.select() if row.short == "base"]
    monkeypatch.setattr(bootable, "build", lambda row, _given: row)
    monkeypatch.setattr(session, "new_folder", lambda _kind: tmp_path)
    steps = [smoke.StepTaken("linux", "boot", "up"), smoke.StepTaken("linux", "clock", "", "slow")]
    monkeypatch.setattr(smoke, "take", lambda *_: iter(steps))
    result = smokerun.smoke_steps([], [])
    assert result.counts == Counts(passed=len(rows), failed=len(rows))
    assert result.output.splitlines() == ["linux, clock: slow"] * len(rows)
