# SPDX-License-Identifier: GPL-2.0-only
"""scapy at the wires: parsing, framing, pcap. Imported on first use, since that takes 0.5 s."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

from harness.network import frames


@functools.cache
def _scapy(module: str) -> Any:
    return importlib.import_module(f"scapy.{module}")


def inet() -> Any:
    """The module scapy.layers.inet: IP, ICMP, TCP, UDP."""
    return _scapy("layers.inet")


def parse(data: bytes) -> Any:
    """The frame `data` as scapy's Ether."""
    _scapy("layers.inet")  # scapy knows a layer once its module is imported.
    return _scapy("layers.l2").Ether(data)


def encode(packet: Any, source: str, neighbour: str) -> bytes:
    """The bytes of `packet`; if it begins with IP, in a frame from `source` to `neighbour`."""
    if isinstance(packet, _scapy("layers.inet").IP):
        mac = frames.destination_mac(packet.dst, neighbour)
        packet = _scapy("layers.l2").Ether(src=source, dst=mac) / packet
    return bytes(packet)


def write_pcap(path: Path, captured: list[frames.Frame]) -> None:
    """Write `captured` to `path`, with times in nanoseconds, for tcpdump, wireshark and scapy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _scapy("utils").RawPcapWriter(str(path), linktype=1, nano=True) as writer:
        writer.write_header(None)
        for frame in captured:
            seconds = int(frame.seconds)
            nanoseconds = int((frame.seconds - seconds) * 1_000_000_000)
            writer.write_packet(frame.data, sec=seconds, usec=nanoseconds)
