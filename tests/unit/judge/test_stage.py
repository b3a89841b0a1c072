# SPDX-License-Identifier: GPL-2.0-only
"""A stage: the calls that a step is, and that a guest which is not put back is none any more."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.base.errors import GuestError
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.judge.stage import Stage
from harness.model.packet import Packet
from harness.model.steps import step
from harness.network.addresses import LINKS

NAMES = "input ACCEPT 1 0 0 0 0\nforward ACCEPT 1 0 0 0 0\noutput ACCEPT 1 0 0 0 0\n"
GUARD = (
    "{:>9} 00000000/00000000->00000000/00000000 eth0 0 0 0 0 0 0 0 0-65535 0-65535 AFF X00 0 0 0 A"
)
RULES = "\n".join(GUARD.format(chain) for chain in ("input", "output")) + "\n"
PORTS = " port     queued  delivered    dropped   injected\n{}no-listener 7\n"
PACKET = Packet("192.0.2.2", "192.0.2.1", 17, b"12345678abcd", identification=1)
TAG = "0200" + "1234" + "c0000201" + "0801020304050607"


class Guest:
    """The program `calls`: what it was told, and what it answers."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.files = {"ip_fwnames": NAMES, "ip_fwchains": RULES, "proc": PORTS.format("")}
        self.packets: list[str] = []
        # What a program is told, as recvmsg() answers it from the queue of errors.
        self.errors: list[tuple[str, str]] = []
        self.refused: list[str] = []  # whose next reads fail
        self._answers: list[str] = []
        self._open: dict[str, str] = {}

    def send(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            self.told.append(line)
            self._answers.append(json.dumps(self._answer(line.split())) + "\n")

    def _answer(self, words: list[str]) -> dict[str, Any]:
        row: dict[str, Any] = {"call": words[0], "socket": words[1], "result": 0}
        if words[0] == "open":
            self._open[words[1]] = self.files[words[1]]
        elif words[0] == "read":
            row["hex"] = self._open[words[1]].encode().hex()
            self._open[words[1]] = ""
        elif words[0] == "recvmsg" and self.errors and self.errors[0][0] == words[1]:
            row["control"] = self.errors.pop(0)[1]
        elif words[0] == "recvfrom" and words[1] in self.refused:
            self.refused.remove(words[1])
            row |= {"result": -1, "error": "ECONNREFUSED"}
        elif words[0] == "recvmsg":
            row |= {"result": -1, "error": "EAGAIN"}
        elif words[0] == "recvfrom" and self.packets:
            sender = {"ip": "192.0.2.1", "hex": TAG}
            row |= {"hex": self.packets.pop(0), "from": sender}
        elif words[0] == "recvfrom":
            row |= {"result": -1, "error": "EAGAIN"}
        return row

    def expect(self, _pattern: str, _seconds: float) -> re.Match[str]:
        match = re.match(r".*\n", self._answers.pop(0))
        assert match
        return match

    def forget_output(self) -> None:
        pass


def wire(number: int) -> Any:
    link = LINKS[number]
    return SimpleNamespace(
        sent=[],
        send=lambda frame: None,
        captured=list,
        clear=lambda: None,
        guest_mac=link.guest_mac,
        host_mac=link.host_mac,
    )


def stage_of(guest: Guest) -> Stage:
    shell = SimpleNamespace(start=lambda command: guest, check=lambda command: "")
    machine = SimpleNamespace(wires=(wire(0), wire(1)), barrier=lambda: None)
    return Stage("toy", cast("Shell", shell), cast("Machine", machine))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("open a", "socket a inet raw divert"),
        ("bind a 1001", "bind a in:0.0.0.0:1001"),
        ("peek a", "recvfrom a 65535 dontwait|peek"),
        ("shut a", "shutdown a write"),
        ("inject a none X", f"sendto a hex:{PACKET.data.hex()} none dontwait"),
        ("inject a 192.0.2.1 X", f"sendto a hex:{PACKET.data.hex()} in:192.0.2.1:0 dontwait"),
        ("refuse a short", f"sendto a hex:{PACKET.data[:19].hex()} none dontwait"),
        ("send 192.0.2.2 0", "sendto sender hex:61626364 in:192.0.2.2:13108"),
        ("remove forward 1", "setsockopt fw ip fw_delete_num hex:01000000"),
        # Behind the rule that keeps our own connection.
        ("remove input 1", "setsockopt fw ip fw_delete_num hex:02000000"),
        ("create one", "setsockopt fw ip fw_createchain hex:6f6e65000000000000"),
    ],
)
def test_the_calls_of_a_step(line: str, told: str) -> None:
    guest = Guest()
    stage = stage_of(guest)
    guest.told.clear()
    stage.do(step(line), [PACKET])
    assert guest.told[0].startswith(told)


def test_tags_are_those_that_were_read() -> None:
    guest = Guest()
    stage = stage_of(guest)
    stage.do(step("open a"), [])
    guest.packets.append(PACKET.data.hex())
    seen = stage.do(step("read a"), [])
    assert (seen.data, seen.interface, seen.listing.unheard) == (PACKET.data, "192.0.2.1", 7)
    untagged = {
        "zeroed": "0200" + "0000" + "c0000201" + "00" * 8,
        "outbound": "0200" + "0000" + "00000000" + "00" * 8,
        "flipped": TAG[:-2] + "06",
    }
    for how, address in untagged.items():
        guest.told.clear()
        stage.do(step(f"untag a 0 {how}"), [PACKET])
        assert guest.told[0] == f"sendto a hex:{PACKET.data.hex()} hex:{address} dontwait"
    guest.told.clear()
    stage.do(step("back a 3"), [PACKET])
    assert f"hex:{TAG} " in guest.told[0]


# IP_RECVERR's message, as a program of 32 bits has it: ECONNREFUSED by ICMP 3/3, from 192.0.2.1.
TOLD = "2c000000 00000000 0b000000 6f000000 02030300 00000000 00000000 02000000 c0000201" + "00" * 8


def test_errors_that_programs_are_told_are_all_seen_and_gone_behind_the_step() -> None:
    guest = Guest()
    stage = stage_of(guest)
    control = TOLD.replace(" ", "")
    local = control.replace("02030300", "01000000")
    # More than one look takes; and a socket that answers a read with an error has more to read.
    guest.errors = [("sender", control), ("sender", control), ("raw-1", local)]
    guest.refused = ["raw-99"]
    guest.packets = ["41", "42", "43"]
    seen = stage.do(step("send 192.0.2.2 0"), [PACKET])
    told = "ECONNREFUSED (ICMP 3/3 from 192.0.2.1)"
    assert seen.told == {
        "sender": [told, told],
        "raw-1": ["ECONNREFUSED (origin 1, 0)"],
        "raw-99": ["recvfrom: ECONNREFUSED"],
    }
    assert not guest.packets
    assert stage.look().told == {}


def test_a_program_that_is_told_errors_without_an_end_is_no_endless_look() -> None:
    guest = Guest()
    stage = stage_of(guest)
    guest.refused = ["udp-4000"] * 10_000
    with pytest.raises(GuestError, match="toy: the programs are told, or receive, more and more"):
        stage.look()


@pytest.mark.parametrize(
    ("file", "text", "left"),
    [
        ("ip_fwnames", NAMES.replace("forward ACCEPT", "forward DENY"), "'forward': 'DENY'"),
        ("ip_fwnames", f"{NAMES}one - 0 0 0 0 0\n", "'one'"),
        ("ip_fwchains", RULES + GUARD.format("forward"), "'forward'"),
        ("proc", PORTS.format(" 1001 0 0 0 0\n"), "1001"),
    ],
)
def test_what_a_sequence_leaves_behind_ends_the_run(file: str, text: str, left: str) -> None:
    guest = Guest()
    stage = stage_of(guest)
    stage.do(step("open a"), [])
    guest.told.clear()
    stage.reset()
    assert guest.told[0] == "close a"
    guest.files[file] = text
    with pytest.raises(GuestError, match=f"toy: a sequence has left behind .*{left}"):
        stage.reset()
