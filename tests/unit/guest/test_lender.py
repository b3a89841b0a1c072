# SPDX-License-Identifier: GPL-2.0-only
"""A guest is pristine for each test, examined after it, and replaced once lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from harness.base.errors import GuestError
from harness.guest.lender import BOOT_ATTEMPTS, Lender


@dataclass
class ToyGuest:
    """A guest that does what it is told, down to crashing."""

    number: int
    boot_seconds: float = 1.0
    accelerator: str = "toy"
    log: list[str] = field(default_factory=list)
    crashed: bool = False

    def check(self) -> None:
        self.log.append("check")
        if self.crashed:
            raise GuestError("kernel panic")

    def snapshot(self, name: str) -> None:
        self.log.append(f"snapshot {name}")

    def restore(self, name: str) -> None:
        if self.crashed:
            raise GuestError("cannot restore")
        self.log.append(f"restore {name}")


@dataclass
class Host:
    """Boots toys, and observes."""

    made: list[ToyGuest] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    broken: bool = False

    @contextmanager
    def boot(self, number: int) -> Iterator[ToyGuest]:
        if self.broken:
            raise GuestError("no boot")
        self.made.append(ToyGuest(number))
        yield self.made[-1]
        self.stopped.append(number)

    def booted(self, guest: object) -> None:
        self.events.append("booted")

    def lost(self, test: str, error: GuestError) -> None:
        self.events.append(f"lost in {test}: {error.message}")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def lender(host: Host) -> Lender[ToyGuest]:
    return Lender(host.boot, host)


def test_one_boot_serves_all_tests(host: Host, lender: Lender[ToyGuest]) -> None:
    for test in ("a", "b"):
        with lender.lend(test) as guest:
            guest.log.append(test)
    lender.close()
    assert host.made[0].log == [
        *("snapshot pristine", "a", "check"),
        *("restore pristine", "b", "check", "check"),
    ]
    assert host.stopped == [1]
    assert host.events == ["booted"]


def test_crash_that_the_test_did_not_see_fails_it(host: Host, lender: Lender[ToyGuest]) -> None:
    with pytest.raises(GuestError, match="kernel panic"), lender.lend("a") as guest:
        guest.crashed = True
    assert host.events == ["booted", "lost in a: kernel panic"]
    assert host.stopped == [1]
    with lender.lend("b") as guest:
        assert guest.number == 2
    lender.close()


def test_failed_test_leaves_the_guest(host: Host, lender: Lender[ToyGuest]) -> None:
    with pytest.raises(AssertionError), lender.lend("a"):
        raise AssertionError
    with lender.lend("b") as guest:
        assert guest.number == 1
    assert host.events == ["booted"]


def test_guest_that_cannot_be_restored_is_replaced(host: Host, lender: Lender[ToyGuest]) -> None:
    with lender.lend("a") as guest:
        pass
    guest.crashed = True
    with pytest.raises(GuestError, match="cannot restore"), lender.lend("b"):
        pytest.fail("lent a dead guest")
    with lender.lend("c") as guest:
        assert guest.number == 2


def test_crash_found_at_the_end(host: Host, lender: Lender[ToyGuest]) -> None:
    with lender.lend("a") as guest:
        pass
    guest.crashed = True
    with pytest.raises(GuestError, match="kernel panic"):
        lender.close()
    assert host.events[-1] == "lost in end of the session: kernel panic"
    assert host.stopped == [1]


def test_guest_that_does_not_boot(host: Host, lender: Lender[ToyGuest]) -> None:
    host.broken = True
    for attempt in range(BOOT_ATTEMPTS):
        assert not lender.hopeless
        with pytest.raises(GuestError, match="no boot"), lender.lend(f"t{attempt}"):
            pytest.fail("lent a guest that did not boot")
    assert lender.hopeless
    host.broken = False


def test_kept_guest_is_not_stopped(host: Host, lender: Lender[ToyGuest]) -> None:
    with lender.lend("a"):
        pass
    assert lender.release() is host.made[0]
    lender.close()
    assert host.stopped == []
