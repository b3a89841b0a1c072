# SPDX-License-Identifier: GPL-2.0-only
"""The way of a packet, from what the kernel's files have counted of it, and its pictures."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from harness.guest.wiretap import Seen
from harness.interactive import tracepicture, way
from harness.interactive.trace import Journey
from harness.interactive.way import Port

# As both kernels print it, with a message of the kernel's between.
BEFORE = """\
    input C0000200/FFFFFF00->00000000/00000000 - 10 0 17 0         0         0         0         \
0-65535 9-9 AFF X00 000003E8 0 0    DIVERT
    input 00000000/00000000->00000000/00000000 eth1 10 4 0 0         8         0         368       \
0-65535 0-65535 AFF X00 00000000 0 0      mine
eth1: a message of the kernel's
     mine 00000000/00000000->0A000001/FF0000FF - 11 0 1 0         1         0         84        \
0-65535 0-65535 A01 X10 00000000 7 0      DENY
     mine 00000000/00000000->00000000/00000000 - 10 0 6 0         0         0         0         \
1024-65535 80-80 AFF X00 00000000 0 0      mine
input ACCEPT 1 0 13 0 1756
forward REJECT 1 0 0 0 0
output ACCEPT 1 1 10 0 1230
mine - 1 0 0 0 0
 port     queued  delivered    dropped   injected
 1000          0          5          0          5
no-listener 3
""".splitlines()


def swapped(*pairs: tuple[str, str]) -> list[str]:
    """The same lines with some of it otherwise."""
    lines = "\n".join(BEFORE)
    for old, new in pairs:
        assert lines.count(old) == 1, old
        lines = lines.replace(old, new)
    return lines.splitlines()


def test_rules_are_told_as_ipchains_takes_them() -> None:
    found = way.parse(BEFORE)
    assert [rule.words for rule in found.rules["input"]] == [
        "-p udp -s 192.0.2.0/24 -d 0.0.0.0/0 9 -j DIVERT 1000",
        "-i eth1 (inverted: 4) -j mine",
    ]
    assert [rule.words for rule in found.rules["mine"]] == [
        "-p icmp -d 10.0.0.1/255.0.0.255 (flags: 11) -t 0x01 0x10 -m 7 -j DENY",
        "-p tcp -s 0.0.0.0/0 1024:65535 -d 0.0.0.0/0 80 -j mine",
    ]
    assert [rule.port for rule in found.rules["input"]] == [1000, 0]
    assert found.rules["input"][1].packets == 8
    assert found.policies["output"] == ("ACCEPT", (1 << 32) + 10)
    assert (found.ports, found.nobody) == ({1000: Port(0, 5, 0, 5)}, 3)


def test_nothing_counted_is_no_way() -> None:
    same = way.parse(BEFORE)
    assert way.between(same, same) == way.Way((), {}, 0)


def test_way_goes_rule_by_rule_into_the_chains_of_the_user_and_the_program() -> None:
    after = swapped(
        ("17 0         0 ", "17 0         1 "),
        ("0         8         0         368", "0         9         0         400"),
        ("1 0         1         0         84", "1 0         2         0         99"),
        ("input ACCEPT 1 0 13", "input ACCEPT 1 0 15"),
        ("0          5          0          5", "0          6          0          6"),
    )
    found = way.between(way.parse(BEFORE), way.parse(after))
    (passed,) = found.chains
    assert (passed.chain, passed.policy, passed.by_policy) == ("input", "ACCEPT", 2)
    assert [(each.number, each.rule.target, each.times) for each in passed.matched] == [
        (1, "DIVERT", 1),
        (2, "mine", 1),
    ]
    inside = passed.matched[1].inside
    assert inside is not None
    assert [each.rule.target for each in inside.matched] == ["DENY"]
    assert found.ports == {1000: Port(0, 1, 0, 1)}


def test_a_circle_of_chains_ends() -> None:
    after = swapped(
        ("0         8         0         368", "0         9         0         400"),
        ("6 0         0  ", "6 0         1  "),
    )
    (passed,) = way.between(way.parse(BEFORE), way.parse(after)).chains
    inside = passed.matched[0].inside
    assert inside is not None
    assert inside.matched[0].inside is None


PACKET = IP(src="192.0.2.2", dst="198.51.100.2", id=5, ttl=64) / UDP(dport=9) / b"abc"


def test_changes_have_the_names_of_fields() -> None:
    changed = IP(src="192.0.2.2", dst="198.51.100.2", id=5, ttl=63, tos=4) / UDP(dport=9) / b"aBc"
    found = way.changes(bytes(PACKET), bytes(changed))
    assert "IP ttl: 64 -> 63" in found
    assert "IP tos: 0x0 -> 0x4" in found
    assert any(line.startswith("Raw load: b'abc' -> b'aBc'") for line in found)
    assert not any("dst" in line for line in found)
    assert way.changes(bytes(PACKET), bytes(PACKET)) == []


@pytest.fixture(name="journey")
def _journey() -> Journey:
    after = swapped(
        ("17 0         0 ", "17 0         1 "),
        ("input ACCEPT 1 0 13", "input ACCEPT 1 0 14"),
        ("0          5          0          5", "1          6          0          5"),
        ("no-listener 3", "no-listener 4"),
    )
    found = way.between(way.parse(BEFORE), way.parse(after))
    sent = Seen("wire0", 1.0, True, bytes(Ether() / PACKET))
    turned = IP(bytes(PACKET))
    turned.ttl = 63
    left = Seen("wire1", 2.0, False, bytes(Ether() / turned))
    return Journey(sent, found, (sent, left))


def test_picture_in_text(journey: Journey) -> None:
    lines = tracepicture.text(3, journey).splitlines()
    assert lines[0] == "packet 3"
    assert lines[1].startswith("  near -> guest   ")
    assert [line.strip() for line in lines[2:6]] == [
        "input       rule 1: -p udp -s 192.0.2.0/24 -d 0.0.0.0/0 9 -j DIVERT 1000",
        "-> port 1000   the program reads 1 packet, 1 packet waiting to be read, none reinjected",
        "input       policy ACCEPT",
        "-> nobody      no program waits: 1 packet",
    ]
    assert lines[6].startswith("  guest -> far ")
    assert lines[7] == "      IP ttl: 64 -> 63"


def test_a_packet_that_leaves_nowhere_is_told(journey: Journey) -> None:
    alone = Journey(journey.sent, journey.way, (journey.sent,))
    assert "nothing leaves the guest" in tracepicture.text(1, alone)


def test_picture_in_svg(journey: Journey) -> None:
    drawn = tracepicture.svg([journey, journey], 'a & b "c"')
    root = ElementTree.fromstring(drawn)
    assert root.attrib["role"] == "img"
    title = root.find("{*}title")
    assert title is not None
    assert title.text == 'a & b "c"'
    words = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("packet 1") == words.count("packet 2") == 1
    assert words.count("rule 1: -p udp -s 192.0.2.0/24 -d 0.0.0.0/0 9 -j DIVERT 1000") == 2
    assert "prefers-color-scheme: dark" in drawn
