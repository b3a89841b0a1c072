# SPDX-License-Identifier: GPL-2.0-only
"""P. Nobody listens."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP

from divert_reference.chains import Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import NEAR, PLACES, PROTOCOLS, Flow, Place, Traffic, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.peer import connection_from, segments, serve, shapes
from tests.guest.support.sockets import bound, hexed

statement = pytest.mark.statement
places = pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)

PORT = 1234


def told(flows: list[Flow]) -> list[str]:
    """What the senders were told."""
    return [flow.error for flow in flows]


@statement("P1/dropped", "P1/sender", "R2/hooks")
@places
def test_dropped_exactly_as_by_deny(
    place: Place, traffic: Traffic, chains: Chains, proc_divert: Callable[[], ProcDivert]
) -> None:
    def send_all(target: str) -> list[Flow]:
        chains.flush()
        chains.append(place.rule(target))
        return [traffic.send(place.path, protocol) for protocol in PROTOCOLS]

    denied, diverted = send_all("DENY"), send_all(f"DIVERT {PORT}")
    assert traffic.arrived(denied) == []
    assert traffic.arrived(diverted) == []
    assert told(diverted) == told(denied)
    if place.path == "out":
        # A connection that is being opened is not told; the other senders are.
        assert told(diverted) == ["EPERM", "EPERM", "EINPROGRESS", "EPERM"]
    assert chains.counts(place.chain)[0] >= len(PROTOCOLS)
    assert proc_divert().no_listener >= len(PROTOCOLS)
    # The same traffic does arrive once the rule is gone: it was the rule that dropped it.
    chains.flush()
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert len(traffic.arrived(flows)) == len(PROTOCOLS)


@statement("P2/passes", "P2/counts", "R2/hooks")
@places
def test_passes_as_if_the_rule_had_no_target(
    place: Place, traffic: Traffic, chains: Chains, proc_divert: Callable[[], ProcDivert]
) -> None:
    # Two rules on ports without listener, and one behind them that only counts.
    chains.append(
        place.rule(f"DIVERT {PORT}"),
        place.rule(f"DIVERT {PORT + 1}"),
        f"{place.chain} {place.match}",
    )
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    arrived = traffic.arrived(flows)
    if place.path == "out":
        assert len(arrived) == len(PROTOCOLS)
        assert told(flows) == ["", "", "EINPROGRESS", ""]
    else:
        assert arrived == [flow.arrives_as() for flow in flows]
    counts = chains.counts(place.chain)
    assert counts[0] >= len(PROTOCOLS)
    assert counts == [counts[0]] * 3, "each rule counts each packet once"
    assert proc_divert().no_listener == 2 * counts[0]


@statement("P2/passes")
def test_connection_passes_from_its_syn_to_its_fin(
    guest: Machine, calls: Calls, near: Wire, chains: Chains
) -> None:
    """Each of the guest's segments meets the rule on its way out, and is as without it."""
    serve(calls)
    connection_from(calls, near, 3001)
    expected = shapes(segments(guest, near, 3001))
    rules = [f"{chain} -i {NEAR.interface} -p TCP" for chain in ("input", "output")]
    chains.append(*(f"{rule} -j DIVERT {PORT}" for rule in rules))
    connection_from(calls, near, 3002)
    assert shapes(segments(guest, near, 3002)) == expected
    assert chains.counts("output") == [len(expected)]


@statement("P2/next-rule")
@places
def test_the_next_rule_is_tried(place: Place, traffic: Traffic, chains: Chains) -> None:
    chains.append(place.rule(f"DIVERT {PORT}"), place.rule("DENY"))
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert traffic.arrived(flows) == []
    assert chains.counts(place.chain)[1] >= len(PROTOCOLS)


@pytest.mark.usefixtures("icmp_errors")
@statement("P1/silently")
@places
def test_nobody_is_told(
    place: Place, traffic: Traffic, chains: Chains, near: Wire, far: Wire
) -> None:
    """Nothing leaves at all: no answer, and no error for the sender."""
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    assert traffic.arrived(flows) == []
    assert ip_packets(near.captured()) == ip_packets(far.captured()) == []
    # Without the rule a datagram arrives, and leaves; or who sent it to a closed port is told.
    traffic.control(chains, place.path, flows)
    (left,) = ip_packets(near.captured()) + ip_packets(far.captured())
    assert left[9] == (1 if place.path == "in" else 17)


@statement("P1/sender")
@pytest.mark.parametrize("target", ["DENY", f"DIVERT {PORT}"])
def test_sender_to_this_host_itself_is_told(target: str, calls: Calls, chains: Chains) -> None:
    """On the output chain; on the input chain it was sent, and the sender hears nothing."""
    for name, kind, protocol in (("udp", "dgram", 17), ("icmp", "raw", 1), ("other", "raw", 99)):
        calls.ok("socket", name, "inet", kind, protocol)
        to = ("sendto", name, hexed(b"\x08\x00\xf7\xff\0\0\0\0"), "in:127.0.0.1:4000")
        chains.append(f"input -i lo -j {target}")
        calls.ok(*to)
        chains.append(f"output -i lo -j {target}")
        assert calls.error(*to) == "EPERM"
        chains.flush()


@statement("P2/counts", "P2/passes")
def test_rule_has_the_effects_of_one_without_a_target(
    traffic: Traffic, chains: Chains, shell: Shell
) -> None:
    """It changes the TOS, and it counts packets and bytes, as a rule without target does."""
    place = PLACES[2]
    left, counted = [], []
    for target in ("", f"-j DIVERT {PORT}"):
        chains.flush()
        chains.append(f"{place.chain} {place.match} -t 0x01 0x10 {target}")
        flow = traffic.send(place.path, "other")
        (data,) = traffic.arrived([flow])
        assert data == marked(flow.arrives_as(), 0x10)
        left.append(len(data))
        counted.append(chains.rows(place.chain)[0][:2])
    assert counted == [["1", str(length)] for length in left]


def marked(data: bytes, tos: int) -> bytes:
    """The packet with this type of service."""
    packet = IP(data)
    packet.tos = tos
    del packet.chksum
    return bytes(packet)


@statement("P2/next-rule")
def test_behind_the_last_rule_the_chains_end_decides(traffic: Traffic, chains: Chains) -> None:
    """At the end of a user's chain the calling chain goes on; at that of a hook's, its policy."""
    place = PLACES[2]
    chains("-N users")
    chains.append(
        f"users -j DIVERT {PORT}",
        f"{place.chain} {place.match} -j users",
        f"{place.chain} {place.match} -j DIVERT {PORT + 1}",
    )
    flow = traffic.send(place.path, "udp")
    assert traffic.arrived([flow]) == [flow.arrives_as()]
    assert (chains.counts("users"), chains.counts(place.chain)) == ([1], [1, 1])
    chains(f"-P {place.chain} DENY")
    flow = traffic.send(place.path, "udp")
    assert traffic.arrived([flow]) == []
    assert (chains.counts("users"), chains.counts(place.chain)) == ([2], [2, 2])


@statement("P3/comes", "P3/goes")
@places
def test_listener_that_comes_and_goes_at_every_hook(
    place: Place,
    traffic: Traffic,
    listen: Listen,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
    expected: Callable[[str], str],
) -> None:
    """Nobody, a listener that reinjects, nobody, one that is killed, nobody: packet by packet."""
    passes = {"passes": 1, "dropped": 0}[expected("no-listener")]
    chains.append(place.rule(f"DIVERT {PORT}"))

    def nobody() -> int:
        return len(traffic.arrived([traffic.send(place.path, "udp")]))

    assert nobody() == passes
    for name in ("INT", "KILL"):
        listener = listen(PORT, "--reinject")
        flow = traffic.send(place.path, "udp")
        seen = listener.next()
        assert flow.body in seen.data
        assert traffic.arrived([flow]) == [flow.arrives_as() if flow.sent else seen.data]
        listener.stop(name)
        assert nobody() == passes
    assert proc_divert() == ProcDivert({}, 3)


@statement("P3/comes", "P3/goes", "P2/passes")
def test_listener_that_comes_and_goes_with_passthrough(
    traffic: Traffic, listen: Listen, chains: Chains
) -> None:
    place = PLACES[2]
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, "udp")]
    for name in ("INT", "KILL"):
        # Without --reinject: what it takes is gone, and what passes did not meet it.
        listener = listen(PORT)
        flows.append(traffic.send(place.path, "udp"))
        assert listener.next().data == flows[-1].at(place.chain)
        listener.stop(name)
        flows.append(traffic.send(place.path, "udp"))
    assert traffic.arrived(flows) == [flows[n].arrives_as() for n in (0, 2, 4)]


@statement("P3/its-port")
def test_listeners_at_some_of_the_three_hooks(
    guest: Machine,
    calls: Calls,
    traffic: Traffic,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
    expected: Callable[[str], str],
) -> None:
    """A forwarded packet, diverted at each hook to a port of its own; some of these listen."""
    hooks = PLACES[1:4]
    chains.append(*(place.rule(f"DIVERT {PORT + n}") for n, place in enumerate(hooks)))
    goes_on = {"passes": True, "dropped": False}[expected("no-listener")]
    missed = 0
    for listening in itertools.product((False, True), repeat=len(hooks)):
        for n, wanted in enumerate(listening):
            if wanted:
                bound(calls, f"d{n}", PORT + n)
        flow = traffic.send("through", "udp")
        alive = True
        for n, (place, wanted) in enumerate(zip(hooks, listening, strict=True)):
            guest.barrier()
            if wanted:
                row = calls("recvfrom", f"d{n}", 65535, "dontwait")
                assert row.get("hex", "") == (flow.at(place.chain).hex() if alive else "")
                if alive:
                    calls.ok("sendto", f"d{n}", "last", "last")
                calls.ok("close", f"d{n}")
            else:
                missed += alive
                alive = alive and goes_on
        assert traffic.arrived([flow]) == [flow.arrives_as()] * alive, listening
        assert proc_divert() == ProcDivert({}, missed), listening


@statement("P3/its-port")
@places
def test_listener_of_another_port_does_not_count(
    place: Place,
    traffic: Traffic,
    listen: Listen,
    calls: Calls,
    chains: Chains,
    expected: Callable[[str], str],
) -> None:
    """What becomes of a packet for a port without listener is the variants' only difference."""
    calls.ok("socket", "unbound", "inet", "raw", "divert")
    listener = listen(PORT + 1)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flows = [traffic.send(place.path, protocol) for protocol in PROTOCOLS]
    passes = {"passes": len(PROTOCOLS), "dropped": 0}[expected("no-listener")]
    assert len(traffic.arrived(flows)) == passes
    chains.append(place.rule(f"DIVERT {PORT + 1}"))
    chains(f"-D {place.chain} 1")
    control = traffic.send(place.path, "udp")
    assert control.body in listener.next().data
    assert len(listener.finish()) == 1, "nothing but what its own rule took"
    assert calls.drain("unbound") == []
    traffic.control(chains, place.path)
