# SPDX-License-Identifier: GPL-2.0-only
"""The families of errors, each with its exit status.

A message says what happened, to what; the hint says what to do next. Both are shown to the user as
they are, without a traceback.
"""

from __future__ import annotations

import signal

EXIT_TESTS_FAILED = 1
EXIT_USER = 2
EXIT_INFRASTRUCTURE = 3
EXIT_GUEST = 4
# Ended by a signal: that much more than its number, as shells have it.
EXIT_SIGNAL = 128
EXIT_INTERRUPTED = EXIT_SIGNAL + 2
EXIT_BROKEN_PIPE = EXIT_SIGNAL + 13


class HarnessError(Exception):
    """Base of all errors that are shown as a message. Use one of the families below."""

    exit_status = EXIT_INFRASTRUCTURE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UserError(HarnessError):
    """The user asked for something that cannot be: an unknown variant, a missing file."""

    exit_status = EXIT_USER


class InfrastructureError(HarnessError):
    """The host, the network or a tool failed: no disk, no archive, a build that broke."""

    exit_status = EXIT_INFRASTRUCTURE


class DeadlineError(InfrastructureError):
    """A wait on the host's side ran out of time."""


class NoRoomError(InfrastructureError):
    """What a run leaves behind cannot be written: the disk is full, or not to be written to.

    What is known of the run is kept, and it ends.
    """


class UnavailableError(InfrastructureError):
    """Something from elsewhere is not on this machine and could not be downloaded.

    A kernel that needs it cannot be tested here, which is not this project's failure.
    """


class AbsentError(UnavailableError):
    """A release of the distribution has not got what was asked for; another may have it."""


class MissingSourceError(UnavailableError):
    """An upstream archive is not on this machine and could not be downloaded."""


class OutputError(InfrastructureError):
    """What a command has to say cannot be written: a full disk, a closed standard output."""


class ReaderGoneError(HarnessError):
    """Nobody reads standard output any more, as after `| head -1`: there is nothing to be said."""

    exit_status = EXIT_BROKEN_PIPE


class GuestError(HarnessError):
    """The guest panicked, hung, did not boot, or could not be reached."""

    exit_status = EXIT_GUEST


class GuestLostError(GuestError):
    """Nothing more can be asked of this guest: it crashed or hangs, or its QEMU ended.

    `kind` is the short name of what happened, for tables: panic, oops, hang, killed, ...
    """

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.kind = kind


class RunInterruptedError(HarnessError):
    """A run that is looked at again had been ended by its user: by Ctrl-C, or another signal."""

    exit_status = EXIT_INTERRUPTED

    def __init__(self, message: str, hint: str = "", *, number: int = signal.SIGINT) -> None:
        super().__init__(message, hint)
        self.exit_status = EXIT_SIGNAL + number


class EndedError(KeyboardInterrupt):
    """A signal other than Ctrl-C's has come. What tidies up after Ctrl-C does so after this."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.name = signal.Signals(number).name


class TestsFailedError(HarnessError):
    """Tests ran and at least one of them failed; or none ran where some should have."""

    __test__ = False  # not a test class, whatever its name begins with
    exit_status = EXIT_TESTS_FAILED
