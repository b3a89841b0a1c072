# SPDX-License-Identifier: GPL-2.0-only
"""I. Injection: where a packet goes on that was taken and given back (I2, the closing table)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, PLACES, UDP_PORT, Place, Traffic, hop, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.changes import rewritten

statement = pytest.mark.statement
INPUT, INPUT_THROUGH, FORWARD, OUTPUT_THROUGH, OUTPUT = PLACES
through = pytest.mark.parametrize("place", PLACES[1:4], ids=lambda place: place.name)

PORT = 1234
# Nobody's, and no interface leads there.
FOREIGN = "203.0.113.7"


@statement("I2/table-input", "I2/changed")
@pytest.mark.parametrize("source", [NEAR.host_ip, FOREIGN])
def test_in_div_fwd(
    source: str, guest: Machine, far: Wire, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """What was for this host goes where it now is for, and meets the rest of its chain."""
    socket = divert(PORT)
    chains.append(INPUT.rule(f"DIVERT {PORT}"), f"input -i {NEAR.interface} -d {FAR.host_ip}")
    flow = traffic.send("in", "udp")
    taken = socket.take()
    changed = rewritten(taken.data, src=source, dst=FAR.host_ip)
    socket.reinject(taken, changed)
    assert left(guest, far) == [hop(changed)]
    assert traffic.arrived([flow]) == []
    assert chains.counts("input") == [1, 1]


@statement("I2/table-input", "I2/changed")
def test_in_div_in_for_this_host_now(
    guest: Machine, far: Wire, traffic: Traffic, calls: Calls, divert: Divert, chains: Chains
) -> None:
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(INPUT_THROUGH.rule(f"DIVERT {PORT}"))
    flow = traffic.send("through", "udp")
    taken = socket.take()
    socket.reinject(taken, rewritten(taken.data, dst=FAR.guest_ip))
    assert left(guest, far) == []
    assert calls.drain("receiver") == [flow.body]


@statement("I2/table-input", "I2/loopback", "I2/changed")
def test_lo_in_div_fwd(
    guest: Machine, far: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Taken on the loopback and rewritten to be between others, it is routed as the wire's."""
    calls.ok("socket", "udp", "inet", "dgram", 17)
    socket = divert(PORT)
    chains.append(f"input -i lo -p UDP -j DIVERT {PORT}")
    calls.ok("sendto", "udp", "text:around", f"in:127.0.0.1:{UDP_PORT}")
    taken = socket.take()
    changed = rewritten(taken.data, src=NEAR.host_ip, dst=FAR.host_ip)
    socket.reinject(taken, changed)
    assert left(guest, far) == [hop(changed)]
    assert socket.rest() == []


@statement("I2/table-input", "I2/loopback", "I2/changed", "I8")
def test_lo_in_div_in_from_another_source(
    guest: Machine, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Taken on the loopback it has the route it had, whatever source it has now."""
    calls.ok("socket", "udp", "inet", "dgram", 17)
    calls.ok("bind", "udp", f"in:127.0.0.1:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(f"input -i lo -p UDP -j DIVERT {PORT}")
    calls.ok("sendto", "udp", "text:around", f"in:127.0.0.1:{UDP_PORT}")
    taken = socket.take()
    socket.reinject(taken, rewritten(taken.data, src=FOREIGN))
    assert calls.ok("poll", "udp", "in", 2000)["result"] == 1
    assert calls.ok("recvfrom", "udp", 100)["from"]["ip"] == FOREIGN


@statement("I2/table-input", "I2/loopback", "I2/way-device", "T4")
@pytest.mark.parametrize("to", [FOREIGN, FAR.host_ip], ids=["nowhere", "neighbour"])
def test_lo_in_div_in_by_the_device_of_its_sender(
    to: str, guest: Machine, far: Wire, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """What is bound to the loopback stays in this host, though by its addresses it would not."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "bindtodevice", "hex:6c6f0000")
    calls.ok("bind", "sender", f"in:{NEAR.guest_ip}:0")
    calls.ok("sendto", "sender", "text:around", f"in:{to}:{UDP_PORT}")
    assert calls.drain("receiver") == [b"around"], "so it goes without a rule"
    socket = divert(PORT)
    chains.append(f"input -i lo -p UDP -j DIVERT {PORT}")
    calls.ok("sendto", "sender", "text:around", f"in:{to}:{UDP_PORT}")
    socket.reinject(socket.take())
    assert calls.drain("receiver") == [b"around"]
    assert left(guest, far) == socket.rest() == []
    calls.ok("socket", "free", "inet", "dgram", 17)
    calls.ok("sendto", "free", "text:leaves", f"in:{FAR.host_ip}:{UDP_PORT}")
    assert len(left(guest, far)) == 1, "what is bound to nothing is seen there"


@statement("I2/table-forward", "I2/changed", "I2/ttl")
def test_fwd_div_to_another_link(
    guest: Machine, near: Wire, far: Wire, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """Looked up anew: the forward and output chains of the new link see it, and the TTL stays."""
    near.add_address("192.0.2.77")
    socket = divert(PORT)
    chains.append(
        f"forward -p UDP -j DIVERT {PORT}",
        f"forward -i {NEAR.interface} -p UDP",
        f"forward -i {FAR.interface} -p UDP",
        f"output -i {NEAR.interface} -p UDP",
        f"output -i {FAR.interface} -p UDP",
    )
    flow = traffic.send("through", "udp")
    taken = socket.take()
    changed = rewritten(taken.data, dst="192.0.2.77")
    socket.reinject(taken, changed)
    sent = [data for data in left(guest, near) if data[9] == 17]
    assert sent == [changed]
    assert left(guest, far) == traffic.arrived([flow]) == []
    assert chains.counts("forward") == [1, 1, 0]
    assert chains.counts("output") == [1, 0]


@statement("I2/table-forward", "I2/changed")
def test_fwd_div_in(
    guest: Machine, far: Wire, traffic: Traffic, calls: Calls, divert: Divert, chains: Chains
) -> None:
    """Rewritten to this host it is delivered here, though it was on its way through."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(FORWARD.rule(f"DIVERT {PORT}"))
    flow = traffic.send("through", "udp")
    taken = socket.take()
    socket.reinject(taken, rewritten(taken.data, dst=NEAR.guest_ip))
    assert left(guest, far) == []
    assert calls.drain("receiver") == [flow.body]


@statement("I2/table-forward", "I2/interface")
@pytest.mark.parametrize("place", [INPUT_THROUGH, FORWARD], ids=lambda place: place.name)
def test_looked_up_for_the_interface_that_received_it(
    place: Place, shell: Shell, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """The reverse-path filter lets a packet pass only on the interface that leads to its source."""
    shell.check("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 1 >$f; done")
    socket = divert(PORT)
    chains.append(place.rule(f"DIVERT {PORT}"))
    flow = traffic.send("through", "udp")
    taken = socket.take()
    shell.check("echo 0 >/proc/sys/net/ipv4/route/flush")
    socket.reinject(taken)
    assert traffic.arrived([flow]) == [flow.arrives_as()]
    socket.reinject(taken, rewritten(taken.data, src=FAR.host_ip))
    assert traffic.arrived([flow]) == [flow.arrives_as()], "that source is no neighbour there"


@statement("I2/table-forward", "I2/bytes")
def test_sender_is_told_of_a_better_route_once(
    guest: Machine, near: Wire, shell: Shell, divert: Divert, chains: Chains, icmp_errors: None
) -> None:
    near.add_address("192.0.2.77")
    # As often as the clock ticks; and let it tick before the packet is given back.
    shell.check("echo 0 >/proc/sys/net/ipv4/route/redirect_load")
    socket = divert(PORT)
    chains.append(f"forward -j DIVERT {PORT}")
    packet = IP(src=NEAR.host_ip, dst="192.0.2.77", id=1, ttl=9) / UDP(dport=9) / b"a detour"
    near.send(packet)
    taken = socket.take()
    sent = [IP(data) for data in left(guest, near)]
    assert [each[ICMP].type for each in sent] == [5], "one redirect, at the first time"
    shell.check('now=$(cat /proc/uptime); while [ "$now" = "$(cat /proc/uptime)" ]; do :; done')
    socket.reinject(taken)
    sent = [IP(data) for data in left(guest, near)]
    assert [bytes(each) for each in sent] == [hop(built(packet))]


@statement("I2/table-output", "I2/changed", "I8")
def test_out_div_to_another_link(
    guest: Machine, near: Wire, far: Wire, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(
        f"output -p UDP -j DIVERT {PORT}", *(f"output -i {i} -p UDP" for i in ("eth1", "eth2"))
    )
    traffic.send("out", "udp")
    taken = socket.take()
    changed = rewritten(taken.data, src=FOREIGN, dst=FAR.host_ip)
    socket.reinject(taken, changed)
    assert left(guest, far) == [changed]
    assert left(guest, near) == []
    assert chains.counts("output") == [1, 0, 1]


@statement("I2/table-output", "I2/changed")
def test_out_div_to_another_link_when_the_first_is_down(
    guest: Machine,
    far: Wire,
    shell: Shell,
    traffic: Traffic,
    divert: Divert,
    chains: Chains,
) -> None:
    """By its destination: of the interface that it was about to leave by nothing is kept."""
    socket = divert(PORT)
    chains.append(OUTPUT.rule(f"DIVERT {PORT}"))
    traffic.send("out", "udp")
    taken = socket.take()
    shell.check(f"ifconfig {NEAR.interface} down")
    changed = rewritten(taken.data, dst=FAR.host_ip)
    socket.reinject(taken, changed)
    far.barrier()
    assert ip_packets(far.captured()) == [changed]


@statement("I2/table-forwarded", "I2/changed", "I2/ttl")
def test_fwd_out_div_to_another_link(
    guest: Machine, near: Wire, far: Wire, traffic: Traffic, divert: Divert, chains: Chains
) -> None:
    """No chain but output sees it again, and nothing lowers its TTL."""
    near.add_address("192.0.2.77")
    socket = divert(PORT)
    chains.append(
        f"output -p UDP -j DIVERT {PORT}",
        *(f"output -i {i} -p UDP" for i in ("eth1", "eth2")),
        "forward -p UDP",
    )
    traffic.send("through", "udp")
    taken = socket.take()
    changed = rewritten(taken.data, src=FOREIGN, dst="192.0.2.77")
    socket.reinject(taken, changed)
    assert left(guest, near) == [changed]
    assert left(guest, far) == []
    assert chains.counts("output") == [1, 1, 0]
    assert chains.counts("forward") == [1]


@statement("I2/table-forwarded")
def test_fwd_out_div_for_this_host_meanwhile(
    guest: Machine,
    far: Wire,
    shell: Shell,
    traffic: Traffic,
    calls: Calls,
    divert: Divert,
    chains: Chains,
    dummy: str,
) -> None:
    """Unchanged: an interface has got the address that it was on its way to."""
    calls.ok("socket", "receiver", "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:0.0.0.0:{UDP_PORT}")
    socket = divert(PORT)
    chains.append(OUTPUT_THROUGH.rule(f"DIVERT {PORT}"))
    flow = traffic.send("through", "udp")
    taken = socket.take()
    shell.check(f"ifconfig {dummy} {FAR.host_ip} netmask 255.255.255.255 up")
    shell.check("echo 0 >/proc/sys/net/ipv4/route/flush")
    socket.reinject(taken)
    assert calls.drain("receiver") == [flow.body]
    assert left(guest, far) == []
