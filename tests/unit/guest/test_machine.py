# SPDX-License-Identifier: GPL-2.0-only
"""A crash that comes between two looks at the guest is not forgotten with it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from harness.base import store
from harness.base.background import Background
from harness.base.errors import GuestLostError, InfrastructureError
from harness.guest import accelerator, login, position
from harness.guest.diagnosis import Diagnosis
from harness.guest.machine import Machine, MachineSpec

LOST = GuestLostError("oops", "oops, guest of variant base")


def explained(kind: str, what: str) -> GuestLostError:
    return GuestLostError(kind, what)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose parts only keep what is asked of them: a guest that is well."""
    here = Path()
    machine = Machine(MachineSpec("base", here, here, here, here, here))
    machine.wires = (MagicMock(), MagicMock())
    machine.qmp = MagicMock()
    machine.qmp.state.return_value = "running"
    machine.emulator = MagicMock(stopped=False)
    machine.console = MagicMock(closed=False, flooded=False, in_trouble=False)
    machine._diagnosis = MagicMock(overlooked=False)
    machine._diagnosis.error.side_effect = explained
    machine._diagnosis._emulator = machine.emulator
    machine._diagnosis.check_running = partial(Diagnosis.check_running, machine._diagnosis)
    monkeypatch.setattr(machine, "_hangs", lambda: "")
    monkeypatch.setattr(position, "find", lambda *_: "in take+0x1/0x2 [divert]")
    return machine


def called(machine: Machine, what: str) -> bool:
    mock = getattr(machine.console if what == "forget" else machine.qmp, what)
    return bool(mock.called)


def test_restored(machine: Machine) -> None:
    machine.restore("pristine")
    assert called(machine, "forget")
    assert called(machine, "resume")


def test_crash_since_the_last_look(machine: Machine) -> None:
    diagnosis = machine._diagnosis
    console = machine.console

    def comes_late() -> None:
        diagnosis.overlooked = True  # type: ignore[misc]
        diagnosis.check.side_effect = LOST  # type: ignore[attr-defined]

    console.settle.side_effect = comes_late  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match="oops"):
        machine.restore("pristine")
    assert not called(machine, "forget")


def test_why_qemu_ended_during_a_restore(machine: Machine) -> None:
    machine.qmp.load.side_effect = GuestLostError("QEMU ended", "gone")  # type: ignore[attr-defined]
    machine._diagnosis.check.side_effect = LOST  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match="oops"):
        machine.restore("pristine")
    machine._diagnosis.check.side_effect = None  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match="gone"):
        machine.restore("pristine")


def test_crash_over_the_question_whether_it_lives(machine: Machine) -> None:
    machine.check()
    assert machine.console.settle.called  # type: ignore[attr-defined]
    machine._diagnosis.check.side_effect = [None, LOST]  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match="oops"):
        machine.check()


def test_guest_that_is_put_back_does_not_go_on_by_itself(machine: Machine) -> None:
    """What is said between two tests would be nobody's."""
    machine.put_back("pristine")
    assert called(machine, "forget")
    assert not called(machine, "resume")


def test_broken_thread_of_the_harness_is_no_guest_that_is_well(
    machine: Machine, broken_threads: None
) -> None:
    Background(lambda: 1 / 0, name="wire0").join()
    with pytest.raises(InfrastructureError, match="its thread wire0: ZeroDivisionError"):
        machine.check()


def test_guest_that_somebody_has_stopped_does_not_hang(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_hangs", lambda: "it answers neither ARP nor SSH")
    machine.qmp.state.return_value = "paused"  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match=r"was told to stop the guest") as error:
        machine.check()
    assert error.value.kind == "QEMU stopped"
    # It answers nothing then.
    machine.emulator.stopped = True  # type: ignore[misc]
    machine.qmp.state.side_effect = GuestLostError("QEMU stuck", "no answer")  # type: ignore[attr-defined]
    machine.qmp.load.side_effect = GuestLostError("QEMU stuck", "no answer")  # type: ignore[attr-defined]
    for asked in (machine.check, lambda: machine.put_back("pristine")):
        with pytest.raises(GuestLostError, match="SIGSTOP"):
            asked()


def test_hang_says_where(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_hangs", lambda: "it answers neither ARP nor SSH")
    with pytest.raises(GuestLostError, match=r"nor SSH; in take\+0x1/0x2 \[divert\]") as error:
        machine.check()
    assert error.value.kind == "hang"


@pytest.mark.parametrize("damaged", ["kernel", "initrd"])
def test_what_is_damaged_is_not_booted(
    damaged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a bit that was flipped after the run had found it whole: hours may be between."""

    def write(folder: Path) -> None:
        (folder / "kernel").write_bytes(bytes(1000))
        (folder / "initrd").write_bytes(bytes(1000))

    here = store.keep(tmp_path / ("1" * 32), write, "toy").path
    spec = MachineSpec("base", here / "kernel", here / "initrd", here, here, tmp_path / "run")
    monkeypatch.setattr(accelerator, "choose", lambda *_: pytest.fail("it is being booted"))
    (here / damaged).write_bytes(bytes(500) + b"\1" + bytes(499))
    with (
        pytest.raises(InfrastructureError, match=f"{damaged} is not what was stored"),
        Machine(spec),
    ):
        pass


def test_a_guest_that_qemu_has_stopped_does_not_hang(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As KVM stops one at an instruction that it cannot execute."""
    monkeypatch.setattr(machine, "_hangs", lambda: "it answers neither ARP nor SSH")
    machine.qmp.state.return_value = "internal-error"  # type: ignore[attr-defined]
    machine.emulator.first_message.return_value = "KVM internal error. Suberror: 1"  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match=r"\(internal-error\): KVM internal error") as error:
        machine.check()
    assert error.value.kind == "QEMU failed"


def test_a_qemu_that_is_stopped_is_no_guest_that_hangs(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_hangs", lambda: "it answers neither ARP nor SSH")
    machine.emulator.stopped = True  # type: ignore[misc]
    with pytest.raises(GuestLostError, match="somebody has stopped QEMU") as error:
        machine.check()
    assert error.value.kind == "QEMU stopped"
    assert not machine.qmp.state.called  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wires", "programs", "hangs"),
    [
        (True, True, ""),
        # A test may have closed both.
        (False, True, ""),
        (True, False, "it answers ARP, and ends no program"),
        (False, False, "it answers neither ARP nor SSH"),
    ],
)
def test_what_hangs(
    wires: bool, programs: bool, hangs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel in a circle answers ARP from an interrupt, and is not well."""
    here = Path()
    machine = Machine(MachineSpec("base", here, here, here, here, here))
    machine.wires = (MagicMock(), MagicMock())
    for wire in machine.wires:
        wire.probe.return_value = wires
    monkeypatch.setattr(machine, "runs_programs", lambda: programs)
    machine.account = MagicMock()
    monkeypatch.setattr(login, "answers", lambda *_: programs)
    assert machine._hangs() == hangs


def test_shell_on_the_console_is_asked_where_rules_let_nobody_in(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.account = MagicMock()
    monkeypatch.setattr(login, "answers", lambda *_: False)
    machine.shell = MagicMock()
    for answers in (True, False):
        machine.shell.answers.return_value = answers
        assert machine.runs_programs() == answers


@pytest.mark.parametrize("state", ["paused", "debug"])
def test_a_guest_that_a_debugger_has_stopped_is_left_alone(
    state: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what it has written is looked at, and one that runs is asked as ever."""
    machine.spec = replace(machine.spec, gdb_fd=3)
    monkeypatch.setattr(machine, "_hangs", lambda: "it answers neither ARP nor SSH")
    machine.qmp.state.return_value = state  # type: ignore[attr-defined]
    machine.check()
    machine._diagnosis.check.side_effect = [None, LOST]  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match="oops"):
        machine.check()
    machine._diagnosis.check.side_effect = None  # type: ignore[attr-defined]
    machine.qmp.state.return_value = "running"  # type: ignore[attr-defined]
    with pytest.raises(GuestLostError, match="nor SSH") as error:
        machine.check()
    assert error.value.kind == "hang"


def test_a_debugger_that_stops_the_guest_over_the_question(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.spec = replace(machine.spec, gdb_fd=3)

    def stops_meanwhile() -> str:
        machine.qmp.state.return_value = "debug"  # type: ignore[attr-defined]
        return "it answers neither ARP nor SSH"

    monkeypatch.setattr(machine, "_hangs", stops_meanwhile)
    machine.check()
