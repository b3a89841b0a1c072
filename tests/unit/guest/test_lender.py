# SPDX-License-Identifier: GPL-2.0-only
"""A guest is pristine for each test, examined after it, and replaced once lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from harness.base.errors import DeadlineError, GuestError, InfrastructureError
from harness.guest.lender import BOOT_ATTEMPTS, Lender


@dataclass
class ToyGuest:
    """A guest that does what it is told, down to crashing."""

    number: int
    boot_seconds: float = 1.0
    accelerator: str = "toy"
    log: list[str] = field(default_factory=list)
    crashed: bool = False
    # What putting it back ends with, once.
    refuses: BaseException | None = None

    def check(self) -> None:
        self.log.append("check")
        if self.crashed:
            raise GuestError("kernel panic")

    def snapshot(self, name: str) -> None:
        self.log.append(f"snapshot {name}")

    def put_back(self, name: str) -> None:
        error, self.refuses = self.refuses, None
        if error is not None:
            raise error
        self.log.append(f"put back {name}")

    def resume(self) -> None:
        self.log.append("resume")


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

    def unbootable(self, error: InfrastructureError) -> None:
        self.events.append(f"unbootable: {error.message}")


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
        *("snapshot pristine", "a", "check", "put back pristine"),
        *("resume", "b", "check", "put back pristine"),
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


def test_what_comes_to_light_when_it_is_put_back_is_this_test_s_own(
    host: Host, lender: Lender[ToyGuest]
) -> None:
    """A flood, or a crash a moment after the test's end: not the next test's."""
    with pytest.raises(GuestError, match="flood"), lender.lend("a") as guest:
        guest.refuses = GuestError("console flood")
    assert host.events == ["booted", "lost in a: console flood"]
    with lender.lend("b") as guest:
        assert guest.number == 2
    assert host.events[2:] == ["booted"]


@pytest.mark.parametrize("error", [DeadlineError("no room on wire0"), KeyboardInterrupt()])
def test_guest_is_dropped_and_not_blamed_for_what_is_not_its_own(
    host: Host, lender: Lender[ToyGuest], error: BaseException
) -> None:
    """Its cables may be unplugged, and its processor stopped: it would be taken for hanging."""
    with pytest.raises(type(error)), lender.lend("a") as guest:
        guest.refuses = error
    lender.close()
    assert guest.log == ["snapshot pristine", "check"]
    assert host.events == ["booted"]
    assert host.stopped == [1]


def test_guest_that_the_harness_doubts_is_replaced(host: Host, lender: Lender[ToyGuest]) -> None:
    with pytest.raises(DeadlineError), lender.lend("a"):
        lender.doubt()
        raise DeadlineError("no complete capture of wire0")
    assert host.stopped == [1]
    with lender.lend("b") as guest:
        assert guest.number == 2
    with lender.lend("c") as guest:
        assert guest.number == 2


def test_guest_that_is_to_be_kept_stays_as_the_last_test_left_it(host: Host) -> None:
    lender = Lender(host.boot, host, keep=True)
    with lender.lend("a") as guest:
        pass
    assert guest.log == ["snapshot pristine", "check"]
    guest.refuses = GuestError("console flood")
    with pytest.raises(GuestError, match="flood"), lender.lend("b"):
        pytest.fail("lent a dead guest")
    assert host.events == ["booted", "lost in a: console flood"]
    with lender.lend("c") as guest:
        assert guest.number == 2
    assert lender.release() is guest
    assert guest.log == ["snapshot pristine", "check"]


def test_crash_found_at_the_end(host: Host) -> None:
    lender = Lender(host.boot, host, keep=True)
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


def test_host_that_cannot_boot_one_is_told_of(
    host: Host, lender: Lender[ToyGuest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no guest that is lost."""

    @contextmanager
    def boot(_number: int) -> Iterator[ToyGuest]:
        raise InfrastructureError("initrd.gz is not what was stored")
        yield

    monkeypatch.setattr(lender, "_boot", boot)
    with pytest.raises(InfrastructureError), lender.lend("a"):
        pass
    assert host.events == ["unbootable: initrd.gz is not what was stored"]
