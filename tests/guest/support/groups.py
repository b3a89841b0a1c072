# SPDX-License-Identifier: GPL-2.0-only
"""The guest as a multicast router between its wires (linux/mroute.h)."""

from __future__ import annotations

import socket
import struct

from tests.guest.support.programs import Calls
from tests.guest.support.traffic import FAR, NEAR

GROUP = "239.1.2.3"

# setsockopt's of a raw IGMP socket, at level ip.
_INIT, _ADD_VIF, _ADD_MFC = 200, 202, 204


def route_groups(calls: Calls, *origins: str) -> None:
    """Route what these hosts (wire 0's, if none is named) send to the group from eth1 to eth2."""
    calls.ok("socket", "igmp", "inet", "raw", 2)
    calls.ok("setsockopt", "igmp", "ip", _INIT, "int:1")
    for number, link in enumerate((NEAR, FAR)):
        # struct vifctl: number, flags, threshold, rate limit, local and remote address.
        interface = struct.pack("=HBBI", number, 0, 1, 0) + socket.inet_aton(link.guest_ip)
        calls.ok("setsockopt", "igmp", "ip", _ADD_VIF, f"hex:{(interface + bytes(4)).hex()}")
    for origin in origins or (NEAR.host_ip,):
        # struct mfcctl: from, group, interface in, TTL needed for each interface out.
        route = socket.inet_aton(origin) + socket.inet_aton(GROUP) + struct.pack("=H", 0)
        ttls = bytes([0, 1]) + bytes(30 + 18)
        calls.ok("setsockopt", "igmp", "ip", _ADD_MFC, f"hex:{(route + ttls).hex()}")
