# SPDX-License-Identifier: GPL-2.0-only
"""The test network: addresses of the guest's three cards and of the far hosts (docs/design.md)."""

from __future__ import annotations

from dataclasses import dataclass

# The management card, behind QEMU's user-mode network; never under test.
MANAGEMENT_INTERFACE = "eth0"
MANAGEMENT_MAC = "52:54:00:00:00:01"
MANAGEMENT_IP = "10.0.2.15"


@dataclass(frozen=True)
class Link:
    """One wire: the guest's card on it, and the host that the harness plays at the far end."""

    name: str
    interface: str
    guest_ip: str
    guest_mac: str
    host_ip: str
    host_mac: str


# In the order of the guest's cards, eth1 first (eth0 is the management card).
LINKS = (
    Link(
        name="wire0",
        interface="eth1",
        guest_ip="192.0.2.1",
        guest_mac="52:54:00:00:01:01",
        host_ip="192.0.2.2",
        host_mac="52:54:00:00:01:02",
    ),
    Link(
        name="wire1",
        interface="eth2",
        guest_ip="198.51.100.1",
        guest_mac="52:54:00:00:02:01",
        host_ip="198.51.100.2",
        host_mac="52:54:00:00:02:02",
    ),
)
