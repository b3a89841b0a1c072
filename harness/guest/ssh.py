# SPDX-License-Identifier: GPL-2.0-only
"""Commands and files in the guest, over SSH."""

from __future__ import annotations

from collections.abc import Callable

import paramiko

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError, GuestError
from harness.guest.login import Account, log_in, log_out
from harness.guest.shell import Shell

# A login takes 0.2 s under TCG; a host that is busy with other guests may take ten times as long.
LOGIN_SECONDS = 20.0


class Ssh(Shell):
    """One SSH connection to a guest, as root."""

    def __init__(self, account: Account, check: Callable[[], None] = lambda: None) -> None:
        super().__init__(check)
        self.account = account
        self._transport: paramiko.Transport | None = None

    def connect(self, seconds: float = LOGIN_SECONDS) -> None:
        """Log in."""
        deadline = Deadline(seconds, "SSH login")
        try:
            self._transport = log_in(self.account, self._trouble, deadline)
        except (DeadlineError, OSError) as error:
            self._check()
            raise GuestError(f"the guest does not let us in: {error}") from error

    def close(self) -> None:
        """End the connection; the guest may be gone already."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        super().close()

    def log_out(self, seconds: float = 2.0) -> None:
        """End the session, and wait until the guest has ended it too; not longer than `seconds`."""
        transport, self._transport = self._transport, None
        if transport is not None:
            log_out(transport, seconds)

    def open_channel(self, seconds: float = LOGIN_SECONDS) -> paramiko.Channel:
        """A new channel of the connection, for what the methods above do not do."""
        if self._transport is None or not self._transport.is_active():
            self._check()
            raise GuestError("the SSH connection to the guest is closed")
        try:
            return self._transport.open_session(timeout=seconds)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self._check()
            raise GuestError(
                f"the guest opened no SSH channel within {seconds:g} s: {error!r}"
            ) from error

    def _open(self, seconds: float) -> paramiko.Channel:
        return self.open_channel(seconds)
