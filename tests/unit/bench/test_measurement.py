# SPDX-License-Identifier: GPL-2.0-only
"""A measurement is a number only if every packet went the way that it is named for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.base.errors import GuestError, GuestLostError
from harness.bench import load as bench_load
from harness.bench import measurement, plan, wires
from harness.bench.load import Load, Outcome
from harness.bench.plan import Measurement
from harness.guest.machine import Machine
from harness.guest.process import Result
from harness.matrix import kernels, variants

PLAN = plan.load()
MODERN = kernels.named("linux-6.1")
WAYS = {way.name: way for way in PLAN.ways}
SIZES = {datagram.name: datagram for datagram in PLAN.datagrams}
LINE = (
    "    input 00000000/00000000->00000000/00000000 - 0 0 17 "
    "{high}          {low}        0          9          0-65535 0-65535 AFF X00 00000000 0 0 -\n"
)


def row(way: str, size: str, variant: str = "base") -> Measurement:
    return Measurement(variants.load()[variant], WAYS[way], SIZES[size])


class Wire:
    def __init__(self) -> None:
        self.cleared = 0

    @contextmanager
    def lent(self) -> Iterator[int]:
        yield 0

    def clear(self) -> None:
        self.cleared += 1


class Guest:
    """A machine whose program and rule say that they have counted so many."""

    def __init__(self, by_program: int, by_rule: int | None = None) -> None:
        self.by_program = by_program
        self.by_rule = by_program if by_rule is None else by_rule
        self.ran: list[str] = []
        self.lost: GuestError | None = None
        self.wires = (Wire(), Wire())
        self.ssh = self
        self.emulator = SimpleNamespace(process=SimpleNamespace(pid=1))

    def check(self, command: str = "") -> str:
        if not command and self.lost:
            raise self.lost
        self.ran.append(command)
        return LINE.format(high=0, low=self.by_rule)

    def start(self, command: str, *, ready: str) -> SimpleNamespace:
        self.ran.append(command)
        said = f'{{"event":"end","packets":{self.by_program},"calls":1}}\n'
        return SimpleNamespace(
            command=command,
            signal=self.ran.append,
            wait=lambda seconds: Result(0, said, ""),
        )


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Load]:
    """The loads that were run; each sends ten datagrams of three frames, a thousand a second."""
    ran: list[Load] = []

    def run(_program: Path, load: Load, _descriptors: Any, _process: int) -> Outcome:
        ran.append(load)
        return Outcome(10, 30, 1000.0, (1.0, 2.0, 3.0), cost=7.0)

    monkeypatch.setattr(bench_load, "run", run)
    return ran


def measure(guest: Guest, what: Measurement) -> measurement.Sample:
    return measurement.measure(cast("Machine", guest), what, Path("bench-load"), 1.0)


def test_the_rate_is_of_many_and_the_trip_of_one(loads: list[Load]) -> None:
    guest = Guest(60)
    sample = measure(guest, row("divert-input", "1400"))
    assert sample == measurement.Sample(1000.0, 7.0, (1.0, 2.0, 3.0))
    assert [(load.window, load.bytes) for load in loads] == [(16, 1400), (1, 1400)]
    rule = "ipchains -A input -p udp -j DIVERT 1000"
    look = "cat /proc/net/ip_fwchains"
    assert [each for each in guest.ran if each] == [
        *(rule, "bench-reinject 1000", "TERM", look, "ipchains -F"),
    ]
    assert all(wire.cleared for wire in guest.wires)


def test_wires_in_memory_have_a_load_in_the_guest(
    loads: list[Load], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Load] = []

    def run(_machine: Machine, load: Load) -> Outcome:
        ran.append(load)
        return Outcome(10, 30, 5000.0, (1.0, 2.0, 3.0), cost=7.0)

    monkeypatch.setattr(wires, "run", run)
    what = row("divert-input", "memory-4000", "linux-6.1:base")
    assert measure(Guest(60), what).rate == 5000.0
    assert [(load.window, load.bytes) for load in ran] == [(21, 4000), (1, 4000)]
    assert not loads
    with pytest.raises(GuestError, match="60 packets went through, bench-reinject 1000 counted 59"):
        measure(Guest(59), what)


def test_modules_are_loaded_in_their_order() -> None:
    guest = Guest(0)
    measurement.prepare(cast("Machine", guest), ("b", "c"))
    assert guest.ran == ["insmod /lib/modules/b.ko", "insmod /lib/modules/c.ko"]


def test_nfqueues_program_alone_is_the_witness(loads: list[Load]) -> None:
    guest = Guest(60)
    measure(guest, row("nfqueue-forward-best", "4000", "linux-6.1:base"))
    assert [each for each in guest.ran if each] == ["bench-nfqueue --batch 32 forward 1", "TERM"]
    with pytest.raises(GuestError, match="60 packets went through, bench-nfqueue --batch 32"):
        measure(Guest(59), row("nfqueue-forward-best", "4000", "linux-6.1:base"))


def test_with_always_defragment_the_program_sees_whole_datagrams(loads: list[Load]) -> None:
    measure(Guest(20), row("divert-input", "4000", "defrag"))
    with pytest.raises(GuestError, match="20 packets went through, bench-reinject 1000 counted 60"):
        measure(Guest(60), row("divert-input", "4000", "defrag"))


def test_packets_that_passed_by_the_program_are_no_number(loads: list[Load]) -> None:
    with pytest.raises(GuestError, match="60 packets went through, bench-reinject 1000 counted 59"):
        measure(Guest(59), row("divert-input", "4000"))


def test_packets_that_passed_by_the_rule_are_no_number(loads: list[Load]) -> None:
    with pytest.raises(GuestError, match=r"60 packets .*, /proc/net/ip_fwchains counted 120"):
        measure(Guest(60, 120), row("divert-input", "4000"))


def test_a_plain_row_needs_no_witness(loads: list[Load]) -> None:
    measure(Guest(0), row("plain", "1400"))


def test_a_host_that_let_nothing_through_is_given_more_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[float] = []

    def run(_program: Path, load: Load, _descriptors: Any, _process: int) -> Outcome:
        asked.append(load.seconds)
        rate = 0.0 if len(asked) == 1 else 5.0
        return Outcome(10, 10, rate, (rate, rate, rate), rate)

    monkeypatch.setattr(bench_load, "run", run)
    # What went through meanwhile has to be counted all the same.
    sample = measure(Guest(30), row("divert-input", "1400"))
    assert sample == measurement.Sample(5.0, 5.0, (5.0, 5.0, 5.0))
    assert asked == pytest.approx([1.0, 4.0, 0.4])


def test_nothing_at_all_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Outcome(1, 1, 0.0, (0.0, 0.0, 0.0), 0.0)
    monkeypatch.setattr(bench_load, "run", lambda *_: nothing)
    with pytest.raises(GuestError, match=r"base/plain/1400: no packet came within 16\.00 s"):
        measure(Guest(0), row("plain", "1400"))


def test_a_lost_packet_names_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object) -> Outcome:
        raise GuestError("of 9 datagrams 1 were lost")

    monkeypatch.setattr(bench_load, "run", lose)
    with pytest.raises(GuestError, match="base/plain/1400: of 9 datagrams 1 were lost"):
        measure(Guest(0), row("plain", "1400"))


def test_a_lost_guest_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(*_: object) -> Outcome:
        raise GuestError("of 9 datagrams 1 were lost")

    monkeypatch.setattr(bench_load, "run", lose)
    guest = Guest(0)
    guest.lost = GuestLostError("oops", "an oops")
    with pytest.raises(GuestLostError, match="an oops"):
        measure(guest, row("plain", "1400"))


def test_a_program_that_failed_is_told(loads: list[Load]) -> None:
    guest = Guest(60)
    said = '{"event":"failed","call":"sendto","error":"EPERM"}\n'
    guest.start = lambda command, *, ready: SimpleNamespace(  # type: ignore[method-assign]
        command=command, signal=guest.ran.append, wait=lambda seconds: Result(2, said, "")
    )
    with pytest.raises(GuestError) as caught:
        measure(guest, row("divert-input", "4000"))
    assert (caught.value.message, caught.value.hint) == (
        "in the guest, `bench-reinject 1000` ended with status 2",
        said.strip(),
    )


def test_a_rules_count_has_two_halves() -> None:
    text = LINE.format(high=1, low=2) + LINE.format(high=0, low=3)
    assert measurement.counted(text, "input") == (1 << 32) + 5
    assert measurement.counted(text, "forward") == 0
