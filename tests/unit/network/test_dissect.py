# SPDX-License-Identifier: GPL-2.0-only
"""Packets in words: a failed comparison shows what was seen beside what was expected."""

from __future__ import annotations

from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from harness.network import dissect

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
    assert "2: byte 8 is 0x08, 0x09 expected" in lines
    assert "3: seen      nothing" in lines
    assert dissect.difference(ONE[:24], ONE) == f"24 bytes, {len(ONE)} expected"


def test_capture(tmp_path: Path) -> None:
    file = tmp_path / "near.pcap"
    wrpcap(str(file), [Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(ONE)])
    (line,) = dissect.capture(file)
    assert "02:00:00:00:00:01 > 02:00:00:00:00:02" in line
    assert "ttl 9" in line
    (line,) = dissect.capture(tmp_path / "none.pcap")
    assert "none.pcap cannot be read" in line
