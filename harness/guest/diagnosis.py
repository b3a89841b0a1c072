# SPDX-License-Identifier: GPL-2.0-only
"""What became of a guest, in words: from its console, and from how its QEMU ended."""

from __future__ import annotations

from harness.base import background, runfolder
from harness.base.errors import DeadlineError, GuestLostError
from harness.guest import trace
from harness.guest.console import Console
from harness.guest.crash import Crash
from harness.guest.emulator import Emulator
from harness.guest.qmp import PAUSED, RUNNING, Qmp
from harness.guest.symbols import Symbols

# QEMU is gone within milliseconds of its console.
_END_SECONDS = 5.0

# So much of a line of the console is quoted; all of it is in the console's file.
QUOTED = 400


class Diagnosis:
    """Watches over one guest; its errors quote the end of the console, with symbols' names."""

    def __init__(self, variant: str, console: Console, emulator: Emulator, names: Symbols) -> None:
        self._variant = variant
        self._console = console
        self._emulator = emulator
        self._symbols = names
        self._told: Crash | None = None

    @property
    def overlooked(self) -> bool:
        """Whether the guest has crashed or floods its console, and `check()` has not told so."""
        crash = self._console.crash
        return self._console.flooded or (crash is not None and crash is not self._told)

    def check(self) -> None:
        """Raise GuestLostError if the console or QEMU's end says that the guest is lost.

        Raises NoRoomError if the console cannot be kept on disk, and another InfrastructureError if
        it is not looked at any more.
        """
        console = self._console
        if console.failure is not None:
            raise runfolder.unwritable(console.log, console.failure)
        if console.crash is not None:
            # Some reports tell only further below what they are about, and all where it was.
            report = console.report()
            crash = self._told = console.crash
            where = trace.place(line.text for line in report)
            words = self._symbols.annotate(_quoted(crash.words))
            known = not where or where.removeprefix("in ") in words
            raise self.error(crash.name, words if known else f"{words} ({where})")
        if console.flooded:
            raise self.error("console flood", "it wrote without an end, and was ended")
        if console.closed:
            background.check()
            self._raise_ended()

    def check_running(self, qmp: Qmp) -> None:
        """Raise GuestLostError if somebody has stopped QEMU, or QEMU the guest: it does not hang.

        It may be stopped itself; deadlines have waited for that. KVM meets what it cannot execute
        by stopping the guest (`internal-error` of QMP's RunState), and QEMU tells why on its
        standard error.
        """
        if self._emulator.stopped:
            pid = self._emulator.process.pid
            raise self.error(
                "QEMU stopped", f"somebody has stopped QEMU, process {pid} (SIGSTOP, a debugger)"
            )
        state = qmp.state()
        if state == PAUSED:
            raise self.error("QEMU stopped", "QEMU was told to stop the guest (paused)")
        if state != RUNNING:
            why = self._emulator.first_message() or "without a word"
            raise self.error("QEMU failed", f"it stopped the guest ({state}): {why}")

    def error(self, kind: str, what: str) -> GuestLostError:
        """The error for a guest that is lost by `kind`, explained by `what`."""
        report = self._console.report()
        lines = [f"  {self._symbols.annotate(_quoted(str(line)))}" for line in report]
        tail = "\n".join(["from its console:", *lines]) if lines else "its console is empty"
        return GuestLostError(
            kind,
            f"{kind}, guest of variant {self._variant}: {what}\n{tail}",
            f"all of the console: {self._console.log}",
        )

    def place(self, text: str) -> str:
        """`text` with the names of the kernel's functions in it."""
        return self._symbols.annotate(text)

    def _raise_ended(self) -> None:
        try:
            status = self._emulator.wait(_END_SECONDS)
        except DeadlineError:
            raise self.error("QEMU stuck", "QEMU closed the console, and did not end") from None
        told = self._emulator.ended_by()
        if told:
            raise self.error("QEMU killed", told)
        if status == 0:
            # Neither panic nor oops was seen: a triple fault, or the guest's own reboot or halt.
            raise self.error("reset", "the guest reset or switched itself off")
        kind = "QEMU killed" if status < 0 else "QEMU failed"
        raise self.error(kind, self._emulator.ending())


def _quoted(text: str) -> str:
    """A line as a message has it: what a message, an event and the report have is bounded."""
    if len(text) <= QUOTED:
        return text
    left_out = len(text) - QUOTED
    return f"{text[: QUOTED // 2]} ... ({left_out} characters) ... {text[-QUOTED // 2 :]}"
