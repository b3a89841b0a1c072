# SPDX-License-Identifier: GPL-2.0-only
"""I. Where a host stands: its interfaces and addresses, and its ways to others.

Its network is that of `network.addresses`: a wire and an interface for each link, and the loopback.
"""

from __future__ import annotations

from harness.model.rules import network, number
from harness.network.addresses import LINKS

LOOPBACK = "lo"
ADDRESSES = {link.interface: link.guest_ip for link in LINKS} | {LOOPBACK: "127.0.0.1"}
NETWORKS = {link.interface: f"{link.guest_ip}/24" for link in LINKS} | {LOOPBACK: "127.0.0.1/8"}
WIRES = tuple(link.interface for link in LINKS)
# The UDP ports on which the guest's programs listen, and from which one of them sends.
OPEN_PORTS = (4000, 4001)
SENDER_PORT = 5000
# What S5 tells of a packet on its way out.
NO_ADDRESS = "0.0.0.0"  # noqa: S104


def way(destination: str) -> str | None:
    """I8: the interface by which this host sends to an address; None for no route."""
    if destination in ADDRESSES.values():
        return LOOPBACK
    for interface, place in NETWORKS.items():
        wanted, mask = network(place)
        if number(destination) & mask == wanted:
            return interface
    return None
