# SPDX-License-Identifier: GPL-2.0-only
"""Packets of captures as frames for the guest, and two wires in one capture."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.all import rdpcap, wrpcap
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, CookedLinux, Ether

from harness.base.errors import UserError
from harness.network import pcapfile
from harness.network.addresses import LINKS
from harness.network.frames import Frame

LINK = LINKS[0]
PACKET = IP(src="192.0.2.2", dst="192.0.2.1") / UDP(dport=9) / b"data of a datagram"
OURS = bytes(Ether(src=LINK.host_mac, dst=LINK.guest_mac) / PACKET)
GROUP = Ether(src="02:00:00:00:00:01", dst="01:00:5e:00:00:05") / PACKET
WHO = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ARP(pdst="192.0.2.1")


@pytest.mark.parametrize(
    ("packet", "frame"),
    [
        (Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / PACKET, OURS),
        (PACKET, OURS),
        (CookedLinux() / PACKET, OURS),
        (GROUP, bytes(GROUP)),
        (WHO, bytes(WHO)),
    ],
    ids=["ethernet", "ip", "cooked", "group", "arp"],
)
def test_packets_of_all_kinds_of_captures(packet: object, frame: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.pcap"
    wrpcap(str(file), [packet])
    assert pcapfile.frames_for(file, LINK) == [frame]


def test_what_is_no_capture_is_the_users(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"/none\.pcap: No such file"):
        pcapfile.frames_for(tmp_path / "none.pcap", LINK)
    (tmp_path / "text").write_text("no capture at all, but of some length")
    with pytest.raises(UserError, match="is no capture that can be read"):
        pcapfile.frames_for(tmp_path / "text", LINK)


def test_two_wires_in_the_order_of_time(tmp_path: Path) -> None:
    near = [Frame(1.0, True, OURS), Frame(3.0, False, OURS)]
    far = [Frame(2.0, False, bytes(GROUP))]
    pcapfile.write(tmp_path / "both.pcap", [near, far])
    read = rdpcap(str(tmp_path / "both.pcap"))
    assert [float(packet.time) for packet in read] == [1.0, 2.0, 3.0]
    assert bytes(read[1]) == bytes(GROUP)
