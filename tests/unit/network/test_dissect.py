# SPDX-License-Identifier: GPL-2.0-only
"""Packets in words: a failed comparison shows what was seen beside what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from harness.network import dissect
from harness.network.addresses import LINKS

ONE = bytes(IP(bytes(IP(src="192.0.2.2", dst="192.0.2.1", id=7, ttl=9) / UDP(dport=53) / b"hi")))
OTHER = bytes([*ONE[:8], 8, *ONE[9:]])


def test_what_is_a_packet() -> None:
    assert dissect.is_packet(ONE)
    for wrong in (ONE[:-1], ONE + b"x", b"", b"\x60" + ONE[1:], b"\x41" + ONE[1:], "text", None):
        assert not dissect.is_packet(wrong)
    assert dissect.packets(ONE) == [ONE]
    assert dissect.packets([ONE, OTHER]) == [ONE, OTHER]
    assert dissect.packets([]) == []
    assert dissect.packets([ONE, b"text"]) is None
    assert dissect.packets(7) is None


def test_words() -> None:
    text = dissect.words(ONE)
    assert "192.0.2.2:53 > 192.0.2.1:53" in text or "192.0.2.2" in text
    assert f"[{len(ONE)} bytes, id 0x0007, ttl 9]" in text


def test_compared() -> None:
    lines = "\n".join(dissect.compared([ONE, OTHER], [ONE, ONE, ONE]))
    assert "2 packets seen, 3 expected" in lines
    assert "1: as expected" in lines
    assert "2: byte 8 (TTL) is 0x08, 0x09 expected" in lines
    assert "3: seen      nothing" in lines
    assert dissect.difference(ONE[:24], ONE) == f"24 bytes, {len(ONE)} expected"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (1, "TOS"),
        (3, "total length"),
        (19, "destination"),
        (20, "UDP source port"),
        (27, "UDP checksum"),
        (28, "byte 8 of the data"),
    ],
)
def test_bytes_have_the_names_of_fields(place: int, name: str) -> None:
    assert dissect.field(ONE, place) == name


def test_bytes_of_options_and_of_later_fragments() -> None:
    options = bytes(IP(options=[IPOption_NOP()] * 4) / TCP())
    assert (dissect.field(options, 20), dissect.field(options, 24 + 13)) == (
        "options",
        "TCP data offset and flags",
    )
    later = bytes(IP(frag=3, proto=17) / b"data of a fragment")
    assert dissect.field(later, 20) == "byte 0 of the data"
    assert dissect.field(bytes(IP(proto=99) / b"x"), 20) == "byte 0 of the data"


def test_captures_of_both_wires_are_in_the_order_of_time(tmp_path: Path) -> None:
    near, far = LINKS
    to_guest = Ether(src=near.host_mac, dst=near.guest_mac) / IP(ONE)
    from_guest = Ether(src=far.guest_mac, dst=far.host_mac) / IP(ONE)
    to_guest.time, from_guest.time = 8.0, 7.5
    files = [tmp_path / "wire0.pcap", tmp_path / "wire1.pcap"]
    for file, frame in zip(files, (to_guest, from_guest), strict=True):
        wrpcap(str(file), [frame])
    first, second, last = dissect.captures([*files, tmp_path / "none.pcap"])
    assert first.startswith(" 0.000000  wire1  from the guest  IP / UDP")
    assert second.startswith(" 0.500000  wire0  to the guest    IP / UDP")
    assert "ttl 9" in second
    assert "none.pcap cannot be read" in last
