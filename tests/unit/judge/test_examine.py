# SPDX-License-Identifier: GPL-2.0-only
"""What a judge finds, on guests that are the model with a fault, and how small it makes that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from harness.base.errors import GuestLostError
from harness.judge import find
from harness.judge.answered import Answered
from harness.judge.examine import Examination
from harness.judge.find import FindError
from harness.judge.pair import Pair
from harness.judge.sequences import Foretellable
from harness.judge.stage import Stage
from harness.judge.trial import Trial
from harness.model.host import Host
from harness.model.packet import Packet
from harness.model.socket import Held, Taken
from harness.model.steps import RESET
from harness.model.traits import Traits
from harness.model.walk import Mark
from tests.unit.judge.modelstage import stage

MAKE = Callable[[], Host]


class TakesTwice(Host):
    """T1: what a port has given back can be taken by it again."""

    def reinject(self, name: str, held: Held, packet: Packet) -> str:
        port, self.sockets[name].port = self.sockets[name].port, 0
        try:
            return super().reinject(name, held, packet)
        finally:
            self.sockets[name].port = port


class ForgetsTheRule(Host):
    """T3: a packet that re-enters its hook is taken again by the rule that took it."""

    def take(self, taken: Taken) -> None:
        super().take(dataclasses.replace(taken, place=()))


class LeavesTheMark(Host):
    """T1: the loopback does not end a packet's way."""

    def _output(self, out: str, packet: Packet, mark: Mark, came_by: str = "") -> str:
        if out != "lo":
            return super()._output(out, packet, mark, came_by)
        packet, mark, passed = self._walk("output", (came_by, out), packet, mark)
        if passed is None:
            self._input("lo", packet, mark, looped=True)
        return passed or ""


def against_the_model(guest: Stage, traits: Traits = Traits()) -> Examination:  # noqa: B008
    def begin() -> Trial:
        guest.reset()
        return Trial(guest, traits)

    return Examination(begin, Foretellable)


@pytest.mark.slow
@pytest.mark.parametrize("passthrough", [False, True])
@pytest.mark.parametrize("defrag", [False, True])
def test_the_model_is_as_the_model_foretells(passthrough: bool, defrag: bool) -> None:
    traits = Traits(passthrough, defrag, refuses_circles=passthrough, shuts=defrag)
    examination = against_the_model(stage(lambda: Host(traits)), traits)
    examination.try_kept()
    examination.round(7, sequences=10)
    assert examination.sequences >= 10 + len(find.kept())
    assert examination.answers["read success"] and examination.answers["back success"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "most"), [(TakesTwice, 12), (ForgetsTheRule, 9), (LeavesTheMark, 9)]
)
def test_a_fault_is_found_and_made_small(host: Callable[[Traits], Host], most: int) -> None:
    examination = against_the_model(stage(lambda: host(Traits())))
    with pytest.raises(FindError) as caught:
        for seed in range(20):
            examination.round(seed)
    steps = caught.value.steps
    assert len(steps) <= most, "\n".join(map(str, steps))
    # It is one: as it stands it fails again.
    with pytest.raises(FindError):
        examination.do(steps)


def test_a_seed_draws_the_same_again() -> None:
    counts = []
    for _ in range(2):
        examination = against_the_model(stage())
        examination.round(11, sequences=5)
        counts.append(examination.answers)
    assert counts[0] == counts[1]


def test_of_two_guests_that_differ_the_difference_is_a_find() -> None:
    def pair(one: MAKE, other: MAKE) -> Examination:
        stages = [stage(one, "one"), stage(other, "other")]

        def begin() -> Pair:
            for each in stages:
                each.reset()
            return Pair(stages, Traits())

        return Examination(begin, Answered)

    def plain() -> Host:
        return Host(Traits(refuses_circles=True))

    same = pair(plain, plain)
    same.try_kept()
    same.round(3, sequences=10)
    with pytest.raises(FindError, match=r"^one and other: ") as caught:
        for seed in range(20):
            pair(plain, lambda: ForgetsTheRule(Traits(refuses_circles=True))).round(seed)
    assert len(caught.value.steps) <= 9


def test_what_comes_of_sequences_before_is_told_so() -> None:
    # An error that is pending, and no reset puts back: no race, though by itself it does not come.
    left: list[str] = []

    class Remembers(Host):
        def __init__(self, traits: Traits) -> None:
            super().__init__(traits)
            self.pending = [*left]
            left.clear()

        def send(self, destination: str, packet: Packet) -> str:
            return self.pending.pop() if self.pending else super().send(destination, packet)

        def close(self, name: str) -> str:
            left[:] = ["ECONNREFUSED"]
            return super().close(name)

    examination = against_the_model(stage(lambda: Remembers(Traits())))
    with pytest.raises(FindError, match="only behind the sequences before it") as caught:
        for seed in range(20):
            examination.round(seed)
    steps = caught.value.steps
    assert RESET in steps
    # Both sequences, as they are in the file of the find.
    again = find.read("".join(f"{step}\n" for step in steps), "again")
    with pytest.raises(FindError):
        examination.do(again)


def test_the_steps_that_a_guest_does_not_survive_are_known() -> None:
    class Dies(Host):
        def close(self, name: str) -> str:
            raise GuestLostError("panic", "an oops", "")

    examination = against_the_model(stage(lambda: Dies(Traits())))
    with pytest.raises(GuestLostError):
        for seed in range(20):
            examination.round(seed)
    assert examination.last[-1].verb == "close"
