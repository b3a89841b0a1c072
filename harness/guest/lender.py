# SPDX-License-Identifier: GPL-2.0-only
"""Lends one guest to test after test: pristine before each, replaced when it is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Generic, Protocol, TypeVar

from harness.base.errors import GuestError, InfrastructureError

SNAPSHOT = "pristine"
# A kernel that does not boot twice running will not boot for the next hundred tests either.
BOOT_ATTEMPTS = 2


class Guest(Protocol):
    """What the lender asks of a machine (harness.guest.machine.Machine)."""

    @property
    def boot_seconds(self) -> float: ...

    @property
    def accelerator(self) -> str: ...

    def check(self) -> None: ...

    def snapshot(self, name: str) -> None: ...

    def put_back(self, name: str) -> None: ...

    def resume(self) -> None: ...


G = TypeVar("G", bound=Guest)
# Makes the guest that is number n of its session, booted when its context is entered.
Boot = Callable[[int], AbstractContextManager[G]]


class Observer(Protocol):
    """Who is told what becomes of the guests."""

    def booted(self, guest: Guest) -> None: ...

    def lost(self, test: str, error: GuestError) -> None: ...

    def unbootable(self, error: InfrastructureError) -> None: ...


class Lender(Generic[G]):
    """Lends the guest to one test after the other, each time as it was after its boot.

    A test is over when the guest has been examined, and put back to where it was and stopped: what
    comes to light by then is this test's own. Whatever goes wrong costs the guest, never the rest.
    """

    def __init__(
        self,
        boot: Boot[G],
        observer: Observer,
        prepare: Callable[[G], None] = lambda _: None,
        *,
        keep: bool = False,
    ) -> None:
        """`prepare` does what is to be the same for all tests, before a guest is first lent.

        With `keep` a guest stays as a test has left it until the next one is to have it.
        """
        self._boot = boot
        self._observer = observer
        self._prepare = prepare
        self._keep = keep
        self._stack = ExitStack()
        self._guest: G | None = None
        self._number = 0
        self._failed_boots = 0
        self._doubted = False
        # The test that has left the guest as it is; none: it is stopped, and has been put back.
        self._left_by = ""

    @property
    def hopeless(self) -> bool:
        """True when the guest failed to boot so often that another attempt is wasted."""
        return self._failed_boots >= BOOT_ATTEMPTS

    @property
    def guest(self) -> G | None:
        """The guest, if there is one."""
        return self._guest

    def doubt(self) -> None:
        """Have the next test get another guest: what the harness did to this one is not known."""
        self._doubted = True

    @contextmanager
    def lend(self, test: str) -> Iterator[G]:
        """The guest, as it was after its boot; afterwards it is examined, however the test ended.

        Raises GuestError if it cannot be had, and if it is found crashed after the test;
        InfrastructureError if this host cannot boot one.
        """
        guest = self._pristine(test)
        self._doubted = False
        try:
            yield guest
        finally:
            with self._watched(test):
                guest.check()
                if self._doubted:
                    self._drop()
                elif self._keep:
                    self._left_by = test
                else:
                    guest.put_back(SNAPSHOT)

    def close(self, test: str = "end of the session") -> None:
        """Examine the guest a last time and stop it. Raises GuestError if it is found crashed."""
        try:
            if self._guest is not None and self._left_by:
                with self._watched(test):
                    self._guest.check()
        finally:
            self._drop()

    def release(self) -> G | None:
        """Give up the running guest without stopping it; the caller has it from now on."""
        guest, self._guest = self._guest, None
        self._stack.pop_all()
        return guest

    @contextmanager
    def _watched(self, test: str) -> Iterator[None]:
        """Drop the guest on any error, and tell of one that is the guest's.

        After another, as Ctrl-C or a wait of the harness in vain, it is not known how the guest is,
        and it is not to be blamed for that.
        """
        try:
            yield
        except BaseException as error:
            if isinstance(error, GuestError):
                self._observer.lost(test, error)
            self._drop()
            raise

    def _pristine(self, test: str) -> G:
        if self._guest is not None and self._left_by:
            with self._watched(self._left_by):
                self._guest.put_back(SNAPSHOT)
            self._left_by = ""
        with self._watched(test):
            if self._guest is not None:
                self._guest.resume()
                return self._guest
            return self._booted()

    def _booted(self) -> G:
        self._number += 1
        # Until the boot is complete it counts as failed, whatever ends it.
        self._failed_boots += 1
        try:
            guest = self._stack.enter_context(self._boot(self._number))
        except InfrastructureError as error:
            self._observer.unbootable(error)
            raise
        self._prepare(guest)
        guest.snapshot(SNAPSHOT)
        self._failed_boots = 0
        self._guest = guest
        self._observer.booted(guest)
        return guest

    def _drop(self) -> None:
        self._guest = None
        self._left_by = ""
        self._stack.close()
