# SPDX-License-Identifier: GPL-2.0-only
"""R6. Different rules divert to different ports; each listener sees its own packets only."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert, Listen
from divert_reference.traffic import FAR, NEAR, PLACES, PROTOCOLS, Place, Traffic, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT = 1234
WORDS = {"icmp": "ICMP", "udp": "UDP", "tcp": "TCP", "other": "99"}


@statement("R6/disjoint")
def test_each_listener_sees_its_own_packets(
    traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    listeners = {name: listen(port) for port, name in enumerate(PROTOCOLS, 2000)}
    chains.append(
        *(
            f"forward -i {FAR.interface} -p {WORDS[name]} -j DIVERT {listener.port}"
            for name, listener in listeners.items()
        )
    )
    flows = {name: [traffic.send("through", name) for _ in range(3)] for name in PROTOCOLS}
    for name, listener in listeners.items():
        assert [seen.data for seen in listener.take(3)] == [
            flow.at("forward") for flow in flows[name]
        ], name
    assert traffic.arrived([flow for some in flows.values() for flow in some]) == []
    for name, listener in listeners.items():
        assert len(listener.finish()) == 3, name


@statement("R6/disjoint", "R6/first")
@places
def test_first_rule_that_matches_says_the_port(
    place: Place, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    special, general, never = divert(1), divert(65535), divert(PORT)
    chains.append(
        f"{place.chain} {place.match} -p 99 -j DIVERT 1",
        f"{place.chain} {place.match} -j DIVERT 65535",
        f"{place.chain} {place.match} -p UDP -j DIVERT {PORT}",
    )
    flows = [traffic.send(place.path, name) for name in ("other", "udp", "other")]
    assert traffic.arrived(flows) == []
    assert [data[9] for data in special.rest()] == [99, 99]
    assert [data[9] for data in general.rest()] == [17]
    assert never.rest() == []
    assert chains.counts(place.chain) == [2, 1, 0]
    traffic.control(chains, place.path, flows)


MANY = 100


@statement("R6/many")
def test_many_rules_to_many_ports(
    guest: Machine, near: Wire, far: Wire, shell: Shell, divert: Divert, chains: Chains
) -> None:
    """Ports that differ in every byte, some in the same chain of the kernel's table of ports."""
    ports = [1 + n * 1024 if n < 50 else 60000 + n for n in range(MANY)]
    sockets = [divert(port) for port in ports]
    lines = [
        f"ipchains -A forward -i {FAR.interface} -p UDP -d 0/0 {n + 1} -j DIVERT {port}"
        for n, port in enumerate(ports)
    ]
    shell.check(" && ".join(lines))
    made = [
        built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=n + 1, ttl=9) / UDP(sport=9, dport=n + 1))
        for n in range(MANY + 1)
    ]
    near.send_all(map(IP, reversed(made)))
    assert left(guest, far) == [hop(made[MANY])], "which no rule matches"
    for number, socket in enumerate(sockets):
        assert socket.rest() == [hop(made[number])], ports[number]


@statement("R6/same-port")
def test_several_rules_to_one_port(
    guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    """On two chains and twice on one: it sees a packet once, where it is met first (T1)."""
    socket = divert(PORT)
    rule = f"forward -i {FAR.interface} -p UDP"
    chains.append(
        f"{rule} -d 0/0 1 -j DIVERT {PORT}",
        f"{rule} -d 0/0 2 -j DIVERT {PORT}",
        f"output -i {FAR.interface} -p UDP -d 0/0 :3 -j DIVERT {PORT}",
    )
    made = [
        built(IP(src=NEAR.host_ip, dst=FAR.host_ip, id=n, ttl=9) / UDP(sport=9, dport=n))
        for n in (1, 2, 3, 4)
    ]
    for each in made:
        near.send(IP(each))
    assert left(guest, far) == [hop(made[3])]
    for each in made[:3]:
        taken = socket.take()
        assert taken.data == hop(each)
        socket.reinject(taken)
    assert left(guest, far) == list(map(hop, made[:3]))
    assert socket.rest() == []
    assert chains.counts("forward") == [1, 1]
    # On output the first two meet the port through which they were injected: counted, not taken.
    assert chains.counts("output") == [3]
