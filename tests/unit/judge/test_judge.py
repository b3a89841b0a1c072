# SPDX-License-Identifier: GPL-2.0-only
"""What can be asked of a judge, and what its parts read and write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.base.errors import GuestLostError, TestsFailedError, UserError
from harness.interactive import session
from harness.judge import find, judge, plain, shrink
from harness.judge.course import Course
from harness.judge.examine import Examination
from harness.judge.proc import Listing, Table
from harness.judge.sequences import Foretellable
from harness.judge.trial import Trial
from harness.model import packet
from harness.model.packet import ICMP, Packet
from harness.model.steps import step
from harness.model.traits import Traits
from tests.unit.judge.modelstage import stage


def asked(**changed: Any) -> None:
    given = {"name": "model", "variant": "base", "seconds": 1, "seed": None, "case": None}
    judge.judge(**{**given, "given": (), **changed})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": None}, "which judge"),
        ({"name": "jury"}, "judge jury: there is no such judge"),
        ({"seconds": 0}, "give either --seconds or --case"),
        ({"case": "x"}, "give either --seconds or --case"),
        ({"case": "/nowhere", "seconds": 0}, "--case /nowhere"),
        ({"seed": "x"}, "--seed x"),
        ({"variant": "stock"}, "only a kernel with divert sockets"),
        ({"name": "kernels"}, "name the two variants"),
        ({"name": "kernels", "variant": "base,defrag"}, "have other options"),
    ],
)
def test_what_cannot_be_asked(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        asked(**changed)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (find.FindError("base: step 1", [step("open a")]), "a find after 0 s, seed 7"),
        (GuestLostError("panic", "an oops", ""), "an oops\nseed 7"),
    ],
)
def test_a_find_is_told_with_its_seed_and_its_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, says: str
) -> None:
    def course() -> Course:
        raise error

    monkeypatch.setattr(session, "new_folder", lambda kind: tmp_path)
    examination = Examination(course, Foretellable, last=[step("open a")])
    request = judge.Request("model", 1, 7)
    with pytest.raises((TestsFailedError, GuestLostError)) as caught:
        judge._examine(request, "base", examination)
    assert says in str(caught.value)
    assert str(tmp_path / judge.FIND) in caught.value.hint
    assert [str(each) for each in find.of_file(tmp_path / judge.FIND)] == ["open a"]


@pytest.mark.parametrize("sequences", [0, 3])
def test_so_many_sequences_or_none_but_those_that_are_kept(sequences: int) -> None:
    examination = Examination(lambda: Trial(stage(), Traits()), Foretellable)
    judge._examine(judge.Request("model", 0, 7, sequences=sequences), "model", examination)
    assert examination.sequences == len(find.kept()) + sequences


def test_a_case_is_a_file_of_steps(tmp_path: Path) -> None:
    path = tmp_path / "find.steps"
    path.write_text("# base\n\nopen a   # one\nbind a 1001\n")
    assert [str(each) for each in find.of_file(path)] == ["open a", "bind a 1001"]
    path.write_text("dance a\n")
    with pytest.raises(UserError, match="no verb of a step: dance"):
        find.of_file(path)


def test_what_is_kept_is_steps() -> None:
    assert all(find.kept().values())


def test_shrinking_leaves_what_is_needed() -> None:
    lines = [f"open {name}" for name in "abcdefgh"]
    steps = [step(line) for line in [*lines, "append input ! -i eth1 -p 17 -y -j DIVERT 7"]]

    def fails(tried: list[Any]) -> bool:
        words = [str(each) for each in tried]
        return "open c" in words and any("-j DIVERT 7" in each for each in words)

    assert [str(each) for each in shrink.smallest(steps, fails)] == [
        "open c",
        "append input -j DIVERT 7",
    ]


def test_what_the_kernel_lists() -> None:
    text = "\n".join(
        (
            " port     queued  delivered    dropped   injected",
            " 1001         36          1          0          2",
            "no-listener 7\n",
        )
    )
    assert Listing.parse(text) == Listing({1001: (36, 1, 0, 2)}, 7)
    with pytest.raises(ValueError, match="not /proc/net/divert"):
        Listing.parse("port\n1 2\n")
    names = "input ACCEPT 1 0 5 1 2\none - 1 0 0 0 0\n"
    rule = "{:>9} 00000000/00000000->00000000/00000000 - 10 0 17 0 {} 0 28 0-65535 0-65535 "
    rule += "AFF X00 000003E9 0 0    DIVERT"
    table = Table.parse(names, f"{rule.format('input', 1)}\n{rule.format('input', 3)}\n", ["input"])
    assert table.rules == {"input": [(3, 28)], "one": []}
    assert (table.policies["input"].packets, table.policies["input"].bytes) == (5, 1 << 32 | 2)
    assert "DIVERT" in table.listed["input"][0]


def test_only_a_packet_of_this_hosts_own_is_made_plain() -> None:
    body = packet.body(ICMP, "", "", (3, 3), b"")
    quoted = Packet("192.0.2.2", "192.0.2.1", 17, b"12345678").data
    told = body + quoted
    here = Packet("192.0.2.1", "192.0.2.2", ICMP, told, identification=7, ttl=255)
    summed = packet.checksum(told[:2] + b"\0\0" + told[4:]).to_bytes(2, "big")
    here = here.changed(body=told[:2] + summed + told[4:])
    longer = here.body + bytes(20)
    there = here.changed(identification=9, ttl=64, body=longer)
    assert plain.packet(here.data) == plain.packet(there.data)
    elsewhere = here.changed(source="192.0.2.2")
    assert plain.packet(elsewhere.data) == elsewhere.data
    assert plain.packet(b"\x45short") == b"\x45short"


def test_of_an_own_packet_that_is_quoted_so_is_what_kernels_choose() -> None:
    def told(identification: int, transport: bytes) -> bytes:
        udp = b"\x13\x88\x0f\xa0\x00\x0b" + transport + b"abc"
        about = Packet("192.0.2.1", "192.0.2.1", 17, udp, identification).data
        body = packet.body(ICMP, "", "", (3, 3), about)
        return Packet("192.0.2.1", "192.0.2.1", ICMP, body, identification=1).data

    assert plain.packet(told(7, b"\x19\x7d")) == plain.packet(told(0x1234, b"\x84\x25"))
    other = Packet("192.0.2.1", "192.0.2.2", ICMP, packet.body(ICMP, "", "", (3, 3), b"short"))
    assert b"short" in plain.packet(other.data)
