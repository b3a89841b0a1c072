# SPDX-License-Identifier: GPL-2.0-only
"""Commands and files in the guest, over whatever reaches a shell there."""

from __future__ import annotations

import abc
import os
import shlex
import threading
from collections.abc import Callable
from pathlib import Path

from harness.base.deadline import Deadline
from harness.base.errors import GuestError
from harness.guest.process import Channel, Process, Result, Surroundings

# A file of some MiB passes in a second.
_COPY_SECONDS = 60.0


class Shell(abc.ABC):
    """Runs commands in a guest, as root.

    `check` raises GuestLostError if the guest has crashed, hangs or has ended; it is asked before
    any other explanation is given for a wait in vain. All methods raise GuestError.
    """

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._trouble = threading.Event()
        # Readable once the guest is in trouble: for waits on channels.
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK)
        # The console's thread may ring the alarm while this one closes it.
        self._lock = threading.Lock()
        self._closed = False

    @abc.abstractmethod
    def _open(self, seconds: float) -> Channel:
        """A way to a shell that has run nothing yet."""

    def close(self) -> None:
        """Let go of the guest, which may be gone already."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._alarm)

    def interrupt(self) -> None:
        """Let every wait end now, and ask `check` why: the guest is in trouble."""
        self._trouble.set()
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._alarm, 1)

    def run(self, command: str, *, seconds: float = 10, stdin: bytes = b"") -> Result:
        """Run `command` in the guest's shell to its end; any exit status will do."""
        deadline = Deadline(seconds, "end")
        script = f"{command}\nexit $?"
        if not stdin:
            # Nothing is sent, not even that it is at an end: a command that ends at once crosses
            # with that, and dropbear hangs up on a message for a channel that it has closed.
            return self._process(f"exec </dev/null\n{script}", command, seconds).wait(
                deadline.remaining, of=seconds
            )
        process = self._process(script, command, seconds)
        process.send(stdin)
        process.end_input()
        return process.wait(deadline.remaining, of=seconds)

    def check(self, command: str, *, seconds: float = 10, stdin: bytes = b"") -> str:
        """The standard output of `command`, of which anything but exit status 0 is a GuestError."""
        result = self.run(command, seconds=seconds, stdin=stdin)
        if result.status != 0:
            raise GuestError(
                f"in the guest, `{command}` ended with {result.how}",
                (result.stderr or result.stdout).strip(),
            )
        return result.stdout

    def start(self, command: str, *, ready: str | None = None, seconds: float = 10) -> Process:
        """Start `command` in the background; wait until its standard output matches `ready`.

        `command` is one program with its arguments (`sh -c '...'` for more than that), so that
        signals reach the program itself. `seconds` is for the start alone.
        """
        deadline = Deadline(seconds, "start")
        program = f"sh -c {shlex.quote(f'echo $$; exec {command}')}"
        # The shell around it says in words which signal ended it; that is not the program's.
        script = f"{{ {program} 2>&3 3>&-; }} 3>&2 2>/dev/null\nexit $?"
        process = self._process(script, command, seconds)
        process.pid = int(process.expect(r"\A(\d+)\n", deadline.remaining)[1])
        process.forget_output()
        if ready is not None:
            process.expect(ready, deadline.remaining)
        return process

    def put(self, content: Path | bytes, remote: str, mode: int = 0o644) -> None:
        """Write a file of the host, or bytes, to the guest's file `remote`."""
        data = content if isinstance(content, bytes) else content.read_bytes()
        name = shlex.quote(remote)
        # A file that runs cannot be written to, but it can be replaced.
        command = f"rm -f {name} && cat > {name} && chmod {mode:o} {name}"
        result = self.run(command, stdin=data, seconds=_COPY_SECONDS)
        if result.status != 0:
            raise GuestError(f"cannot put {remote} into the guest: {result.stderr.strip()}")

    def get(self, remote: str) -> bytes:
        """The content of the guest's file `remote`."""
        process = self._process(f"cat {shlex.quote(remote)}", f"cat {remote}", _COPY_SECONDS)
        result = process.wait(_COPY_SECONDS)
        if result.status != 0:
            raise GuestError(f"cannot get {remote} from the guest: {result.stderr.strip()}")
        return process.output

    def _process(self, script: str, command: str, seconds: float) -> Process:
        channel = self._open(seconds)
        surroundings = Surroundings(self._alarm, self._check, self._signal)
        return Process(channel, script, command, surroundings)

    def _signal(self, pid: int, name: str) -> None:
        self.check(f"kill -{name} {pid}")
