# SPDX-License-Identifier: GPL-2.0-only
"""Packets of a capture file, wherever it was made, as frames for the guest; and captures of both
wires in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.base.errors import UserError
from harness.network import packets
from harness.network.addresses import Link
from harness.network.frames import Frame

_GROUP = 1


def frames_for(file: Path, link: Link) -> list[bytes]:
    """The packets of a pcap or pcapng file as frames of the far host to the guest's card.

    IP packets get its address, whatever card they were for; frames to a group or to all, and those
    that are no IP, stay as they are. Raises UserError for a file that is not there, is no capture,
    or has neither Ethernet's frames nor IP's packets.
    """
    # All that scapy knows: which kinds of links a file can be of, it learns from its layers.
    from scapy.all import Scapy_Exception, rdpcap  # noqa: PLC0415 (it takes a second)

    try:
        read = rdpcap(str(file))
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}") from None
    except Scapy_Exception as error:
        raise UserError(f"{file} is no capture that can be read: {error}", _KINDS) from None
    return [for_guest(packet, link, str(file)) for packet in read]


_KINDS = "it has to be a pcap or pcapng file, as tcpdump -w and wireshark write it"


def for_guest(packet: Any, link: Link, what: str) -> bytes:
    """One packet of scapy's as a frame to the guest's card; raises UserError as `frames_for`."""
    from scapy.layers.inet import IP  # noqa: PLC0415
    from scapy.layers.l2 import Ether  # noqa: PLC0415

    if isinstance(packet, Ether):
        data = bytes(packet)
        if data[0] & _GROUP or IP not in packet:
            return data
        packet = packet[IP]
    elif IP in packet and not isinstance(packet, IP):
        # Linux's cooked captures, loopback's, PPP's.
        packet = packet[IP]
    if not isinstance(packet, IP):
        raise UserError(f"{what}: {packet.summary()} is neither a frame of Ethernet nor IP", _KINDS)
    return packets.encode(packet, link.host_mac, link.guest_mac)


def write(path: Path, captured: Sequence[Sequence[Frame]]) -> None:
    """The frames of several wires in the order of their times, as one pcap."""
    together = [frame for frames in captured for frame in frames]
    packets.write_pcap(path, sorted(together, key=lambda frame: frame.seconds))
