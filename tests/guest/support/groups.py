# SPDX-License-Identifier: GPL-2.0-only
"""The guest as a multicast router between its wires (linux/mroute.h)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from scapy.layers.inet import IP, UDP

from divert_reference.divert import built
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT
from harness.network.frames import ip_bytes

GROUP = "239.1.2.3"

# setsockopt's of a raw IGMP socket, at level ip.
MRT_INIT, MRT_ADD_VIF, MRT_DEL_VIF, MRT_ADD_MFC = 200, 202, 203, 204
_INTERFACES = 32


def multicast(number: int = 1) -> bytes:
    """A datagram to the group from the host of wire 0."""
    header = IP(src=NEAR.host_ip, dst=GROUP, id=number, ttl=4)
    return built(header / UDP(sport=1, dport=UDP_PORT) / b"to the group")


def vif(number: int, local: str, flags: int = 0, remote: str = "0.0.0.0") -> str:
    """struct vifctl, with a threshold of 1 and no limit of its rate: an interface of the router."""
    data = struct.pack("=HBBI", number, flags, 1, 0) + ip_bytes(local) + ip_bytes(remote)
    return f"hex:{data.hex()}"


def mfc(origin: str, into: int = 0, out: int = 1) -> str:
    """struct mfcctl: what this host sends to the group, from one interface to another, whatever its
    TTL.
    """
    ttls = bytes(number == out for number in range(_INTERFACES))
    route = ip_bytes(origin) + ip_bytes(GROUP) + struct.pack("=H", into) + ttls
    return f"hex:{route.ljust(60, bytes(1)).hex()}"


LINKS = (vif(0, NEAR.guest_ip), vif(1, FAR.guest_ip))


def route_groups(
    calls: Calls, *origins: str, name: str = "igmp", interfaces: Sequence[str] = LINKS
) -> None:
    """Route what these hosts (wire 0's, if none is named) send to the group from the first of the
    router's interfaces to the second: from eth1 to eth2. `name` is its socket.
    """
    calls.ok("socket", name, "inet", "raw", 2)
    calls.ok("setsockopt", name, "ip", MRT_INIT, "int:1")
    for interface in interfaces:
        calls.ok("setsockopt", name, "ip", MRT_ADD_VIF, interface)
    for origin in origins or (NEAR.host_ip,):
        calls.ok("setsockopt", name, "ip", MRT_ADD_MFC, mfc(origin))
