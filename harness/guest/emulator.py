# SPDX-License-Identifier: GPL-2.0-only
"""One running QEMU, that cannot outlive the process which started it."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import tty
from pathlib import Path

from harness.base import command, stops
from harness.base.errors import DeadlineError, InfrastructureError
from harness.guest import qemu

# QEMU obeys a hang-up or SIGTERM within milliseconds; SIGKILL always works.
KILL_SECONDS = 5.0


# The terminal is QEMU's leash: a hang-up ends it, also where the harness was told to ignore that
# one (nohup) and would pass on as much.
_LEASH = ("setsid", "--ctty", "env", "--default-signal=HUP")

_TERMINATING = "terminating on signal"


class Emulator:
    """A QEMU process on a pseudo-terminal of its own: the guest's console.

    No other user can reach that, and it is QEMU's controlling terminal. When the last descriptor of
    its other side is closed, be it because this process was killed by SIGKILL, the kernel hangs
    QEMU up, and it ends.
    """

    def __init__(self, spec: qemu.QemuSpec, log: Path) -> None:
        """Start QEMU; what it says itself, apart from the guest, goes to the file `log`.

        Raises InfrastructureError if it, or setsid(1) that gives it the terminal, is missing.
        """
        self.log = log
        self._released = False
        self.arguments = qemu.arguments(spec)
        command.require(spec.hardware.program)
        self.console_fd, terminal_fd = pty.openpty()
        try:
            # devpts lets the group tty write there (wall, write): it would be the guest's words.
            os.fchmod(terminal_fd, 0o600)
            # Else the console's first lines, before QEMU sets it raw, come with doubled returns.
            tty.setraw(terminal_fd)
            with log.open("wb") as stream:
                self.process = subprocess.Popen(
                    [*_LEASH, *self.arguments],
                    stdin=terminal_fd,
                    stdout=terminal_fd,
                    stderr=stream,
                    pass_fds=spec.descriptors,
                )
        except OSError as error:
            os.close(self.console_fd)
            raise InfrastructureError(
                f"cannot start {spec.hardware.program}: {error.strerror}", "run: ./inv setup"
            ) from error
        finally:
            os.close(terminal_fd)

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal's number; None while it runs."""
        return self.process.poll()

    @property
    def stopped(self) -> bool:
        """Whether it is stopped, by a signal or a debugger."""
        return stops.stopped(Path(f"/proc/{self.process.pid}/stat"))

    def ending(self) -> str:
        """How it ended, in words, with what QEMU itself said; for a process that has ended."""
        status = self.status
        if status is not None and status < 0:
            how = f"QEMU was killed by {signal.Signals(-status).name}"
        else:
            how = f"QEMU ended with status {status}"
        said = self.messages()
        return f"{how}: {said}" if said else how

    def ended_by(self) -> str:
        """What QEMU says of the signal that ended it, with status 0 all the same; else nothing."""
        lines = self._lines()
        return next((line.strip() for line in lines if _TERMINATING in line), "")

    def _lines(self) -> list[str]:
        try:
            return self.log.read_text(errors="replace").splitlines()
        except OSError:
            return []

    def messages(self) -> str:
        """What QEMU wrote on its standard error, without the noise of its ordinary end."""
        lines = [line for line in self._lines() if _TERMINATING not in line]
        return "; ".join(line.strip() for line in lines if line.strip())[-500:]

    def first_message(self) -> str:
        """The first line of `messages()`, but for warnings: registers and code follow KVM's."""
        lines = (line.strip() for line in self._lines())
        return next((line for line in lines if line and "warning: " not in line), "")

    def wait(self, seconds: float) -> int:
        """Wait for its end; the exit status. Raises DeadlineError."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DeadlineError(f"no end of QEMU within {seconds:g} s") from None

    def release(self) -> None:
        """Let it run on when this object is closed; somebody else has its terminal now."""
        self._released = True

    def kill(self) -> None:
        """End it now, and wait until it has ended; nothing happens if it has, or was released."""
        if self._released:
            return
        self.process.kill()
        self.process.wait(KILL_SECONDS)

    def close(self) -> None:
        """End it, and give the console's descriptor back."""
        self.kill()
        with contextlib.suppress(OSError):
            os.close(self.console_fd)
