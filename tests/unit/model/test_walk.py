# SPDX-License-Identifier: GPL-2.0-only
"""The model's walks: verdicts, counters, and what T1 and T3 pass over."""

from __future__ import annotations

import pytest

from harness.model import packet, walk
from harness.model.chains import Chains
from harness.model.packet import Packet
from harness.model.rules import rule
from harness.model.walk import Mark, Walk

PACKET = Packet(
    "192.0.2.2",
    "198.51.100.2",
    packet.UDP,
    packet.body(packet.UDP, "192.0.2.2", "198.51.100.2", (3000, 4000), b""),
)


def chains(*lines: str, refuses_circles: bool = False) -> Chains:
    """Chains with these rules: `input -p 17 -j DIVERT 1`."""
    made = Chains(refuses_circles)
    for name in ("one", "two"):
        made.create(name)
    for line in lines:
        name, _, words = line.partition(" ")
        assert made.append(name, rule(words)) == ""
    return made


def walked(made: Chains, mark: Mark = Mark(), passthrough: bool = False, nobody: int = 0) -> Walk:  # noqa: B008
    return walk.walk(
        made,
        "input",
        PACKET,
        "eth1",
        listens=lambda port: port != nobody,
        mark=mark,
        passthrough=passthrough,
    )


def counted(made: Chains, name: str = "input") -> list[int]:
    return [entry.packets for entry in made.by_name[name].entries]


def test_the_first_rule_that_decides_does_and_each_that_matches_counts() -> None:
    made = chains("input -p 6 -j DENY", "input -p 17", "input -j DIVERT 1", "input -j DENY")
    assert (walked(made).verdict, walked(made).port) == ("DIVERT", 1)
    assert counted(made) == [0, 2, 2, 0]
    assert made.by_name["input"].packets == 0
    assert walked(chains()).verdict == "ACCEPT"


def test_a_rule_changes_the_tos_for_those_behind_it() -> None:
    made = chains("input -t 1:16", "input -t 255:8")
    assert walked(made).packet.tos == 24


def test_nobody_listens() -> None:
    made = chains("input -j DIVERT 1", "input -j DIVERT 2")
    assert walked(made, nobody=1).verdict == walk.NOBODY
    end = walked(made, nobody=1, passthrough=True)
    assert (end.verdict, end.port, end.unheard) == ("DIVERT", 2, (1,))
    assert counted(made) == [2, 1]


def test_the_port_that_gave_it_back_is_spared_and_counts() -> None:
    made = chains("input -j DIVERT 1", "input -j DIVERT 2")
    assert walked(made, Mark(port=1)).port == 2
    assert counted(made) == [1, 1]


def test_behind_the_rule_that_took_it_and_quiet_up_to_there() -> None:
    made = chains("input", "input -j DIVERT 1", "input", "input -j DIVERT 2")
    first = walked(made)
    again = walked(made, Mark(7, "input", first.place))
    assert (again.verdict, again.port) == ("DIVERT", 2)
    assert counted(made) == [1, 1, 1, 1]
    made.remove("input", 2)
    gone = walked(made, Mark(7, "input", first.place))
    assert gone.verdict == "ACCEPT" and counted(made) == [1, 1, 1]


def test_a_place_is_the_same_when_rules_beside_the_jump_change() -> None:
    made = chains("one -j DIVERT 1", "one -j DIVERT 2", "input -j one", "input -p 99")
    first = walked(made)
    made.remove("input", 2)
    made.append("input", rule("-p 6"))
    assert walked(made, Mark(7, "input", first.place)).port == 2
    # Come by twice, each way is a place of its own.
    made.append("input", rule("-j one"))
    second = walked(made, Mark(0, "input", first.place)).place
    third = walked(made, Mark(2, "input", second))
    assert (third.port, third.place != first.place) == (1, True)


def test_a_circle_is_refused_or_found() -> None:
    lines = "input -j one", "one -j two"
    made = chains(*lines)
    assert made.append("two", rule("-j one")) == ""
    assert walked(made).verdict == "DENY"
    assert walk.check(made, "input", PACKET, "eth1") == "ELOOP"
    made = chains(*lines, refuses_circles=True)
    assert made.append("two", rule("-j one")) == "ELOOP"
    assert walked(made).verdict == "ACCEPT"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("-j DIVERT 1", "EREMOTE"),
        ("-j DENY", "ETIMEDOUT"),
        ("-j REJECT", "ECONNREFUSED"),
        ("-j ACCEPT", ""),
        ("-j RETURN", ""),
        ("-p 6 -j DENY", ""),
    ],
)
def test_what_a_check_answers(words: str, answer: str) -> None:
    made = chains(f"input {words}")
    assert walk.check(made, "input", PACKET, "eth1") == answer
    assert counted(made) == [0]
    assert walk.check(made, "nowhere", PACKET, "eth1") == "ENOENT"
