# SPDX-License-Identifier: GPL-2.0-only
"""What gives a program copies of packets: raw, packet and firewall netlink sockets (chapter C)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from divert_reference.programs import Calls
from divert_reference.traffic import Flow, is_of

# PACKET_OTHERHOST and PACKET_OUTGOING of linux/if_packet.h, and where struct sockaddr_ll has them.
TO_ANOTHER_HOST, OUTGOING = 3, 4
_PACKET_TYPE = 10
# ETH_P_ALL, for an address and as socket() wants it: only these sockets see what goes out.
_EVERYTHING, _EVERYTHING_SWAPPED = 3, 0x300
_ETHERNET = 14
# struct nlmsghdr is not used by NETLINK_FIREWALL: u32 length, u32 mark, char interface[16].
_NETLINK_HEADER = struct.Struct("=II16s")
_EVERY_SIZE = 65535


def raw_socket(calls: Calls, name: str, protocol: int) -> None:
    """A raw socket for what this host receives of a protocol."""
    calls.ok("socket", name, "inet", "raw", protocol)


def packet_socket(calls: Calls, name: str, interface: str, kind: str = "packet") -> None:
    """A packet socket on an interface: of 2.2's PF_PACKET, or of 2.0's SOCK_PACKET."""
    if kind == "packet":
        calls.ok("socket", name, "packet", "raw", 0)
        index = calls.ok("ifindex", name, interface)["value"]
        calls.ok("bind", name, f"ll:{index}:{_EVERYTHING}")
    else:
        calls.ok("socket", name, "inet", "packet", _EVERYTHING_SWAPPED)
        calls.ok("bind", name, f"pkt:{interface}")


@dataclass(frozen=True)
class Frame:
    """A frame that a packet socket read: the IP packet, and the type that the driver gave it."""

    data: bytes
    type: int


def frames(calls: Calls, name: str) -> list[Frame]:
    """All IP packets that wait on a packet socket."""
    found = []
    while (row := calls("recvfrom", name, _EVERY_SIZE, "dontwait"))["result"] >= 0:
        frame = bytes.fromhex(row["hex"])
        if frame[12:_ETHERNET] == b"\x08\x00":
            length = int.from_bytes(frame[16:18], "big")
            address = bytes.fromhex(row["from"]["hex"])
            kind = address[_PACKET_TYPE] if len(address) > _PACKET_TYPE else -1
            found.append(Frame(frame[_ETHERNET : _ETHERNET + length], kind))
    assert row["error"] == "EAGAIN", row
    return found


def captured(calls: Calls, name: str, *flows: Flow) -> list[bytes]:
    """What a packet socket has of these flows, in its order."""
    return [
        frame.data
        for frame in frames(calls, name)
        if any(is_of(flow, frame.data) for flow in flows)
    ]


def netlink_socket(calls: Calls, name: str) -> None:
    """A socket of the firewall's netlink (NETLINK_FIREWALL), in a group that it sends to.

    With more than one reader 2.2.12 copies with GFP_KERNEL, and complains where it does so in an
    interrupt. So such tests send what this host's programs send.
    """
    calls.ok("socket", name, "netlink", "raw", 3)
    calls.ok("bind", name, "nl:0:1")


@dataclass(frozen=True)
class Copy:
    """What the firewall's netlink sends for a packet that matched a rule with `-o`."""

    mark: int
    interface: str
    data: bytes


def copy_of(message: bytes) -> Copy:
    """The copy in a message of the firewall's netlink."""
    length, mark, interface = _NETLINK_HEADER.unpack_from(message)
    assert length == len(message)
    # What is behind the name's end is what the memory held: 2.2.12 does not clear it.
    name = interface.partition(b"\0")[0].decode()
    return Copy(mark, name, message[_NETLINK_HEADER.size :])


def copies(calls: Calls, name: str) -> list[Copy]:
    """All copies that wait on a socket of the firewall's netlink."""
    return [copy_of(message) for message in calls.drain(name)]
