# SPDX-License-Identifier: GPL-2.0-only
"""What sequences choose from: ports, sockets, addresses, and rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from harness.model.packet import TCP
from harness.model.rules import DIVERT, Rule
from harness.model.ways import LOOPBACK, WIRES
from harness.network.addresses import LINKS

PORTS = (1001, 1002, 1003)
SOCKETS = ("a", "b", "c", "d")
USERS = ("one", "two", "three")
# Nobody has it and no route leads there; from there anybody may come.
FOREIGN = "203.0.113.7"
HOSTS = {link.interface: link.host_ip for link in LINKS}
OWN = tuple(link.guest_ip for link in LINKS)

Draw = Callable[..., Any]


@st.composite
def rules(draw: Draw, targets: Sequence[str]) -> Rule:
    """A rule of a chain; most match much, and half of them all."""
    inverted = set()
    picky = draw(st.booleans())

    def maybe(name: str, *values: Any) -> Any:
        """One of the values, or what matches all; now and then the other way round."""
        if not picky or draw(st.integers(0, 3)) < 3:
            return getattr(Rule, name)
        if draw(st.integers(0, 4)) == 4:
            inverted.add(name)
        return draw(st.sampled_from(values))

    networks = ("192.0.2.0/24", "198.51.100.0/24", *(f"{ip}/32" for ip in HOSTS.values()))
    fields = {
        "interface": maybe("interface", *WIRES, LOOPBACK, "eth+"),
        "protocol": maybe("protocol", 17, 17, 6, 1, 99),
        "source": maybe("source", *networks),
        "destination": maybe("destination", *networks),
    }
    if fields["protocol"] in (17, 6) and "protocol" not in inverted:
        fields["destinations"] = maybe("destinations", (4000, 4000), (4001, 4001), (9, 4000))
        fields["sources"] = maybe("sources", (3000, 3000), (5000, 5000))
    if fields["protocol"] == TCP and "protocol" not in inverted:
        fields["syn"] = maybe("syn", True)
    if picky and draw(st.integers(0, 4)) == 4:
        fields["fragment"] = maybe("fragment", True)
    fields["tos"] = maybe("tos", (0xFF, 0x08), (0x01, 0x10))
    fields["mark"] = maybe("mark", 1, 7)
    inverted -= {"tos", "mark"}
    target = draw(st.sampled_from(targets))
    port = draw(st.sampled_from(PORTS)) if target == DIVERT else 0
    return Rule(**fields, inverted=frozenset(inverted), target=target, port=port)
