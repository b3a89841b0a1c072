# SPDX-License-Identifier: GPL-2.0-only
"""I2, M1, M11, T1. Bounds and losses of module/README that no other test is of."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from harness.machine import Machine
from harness.shell import Shell
from harness.wire import Wire
from tests.guest import nfqueue
from tests.guest.chains import Chains
from tests.guest.conftest import Divert
from tests.guest.divert import built, left
from tests.guest.netlink import Links
from tests.guest.nfqueue import Queue
from tests.guest.nft import Nft, destination, protocol, queue
from tests.guest.programs import Calls
from tests.guest.stack import NFTABLES, Namespace, load
from tests.guest.traffic import FAR, NEAR, NUMBERS, UDP_PORT, hop

statement = pytest.mark.statement

PORT = 1234
AGAIN = 1024
LOGGED = "Packet log: input"


def datagram(to: str, size: int = 20) -> bytes:
    """From wire 0's host."""
    header = IP(src=NEAR.host_ip, dst=to, id=0x77, ttl=9)
    return built(header / UDP(sport=3000, dport=UDP_PORT) / bytes(size))


@statement("T1/queued")
def test_packet_that_nfqueue_makes_longer_can_be_taken_once_more(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Longer than its buffer has room for: it is another buffer then. Given back, it goes on."""
    load(shell, *NFTABLES, *nfqueue.MODULES)
    nft = Nft(calls)
    nft.chain("held", "prerouting", 0)
    nft.rule("held", protocol(NUMBERS["udp"]), destination(FAR.host_ip), queue(0))
    queued, socket = Queue(calls, 0), divert(PORT)
    chains.append(*(f"{chain} -p UDP -j DIVERT {PORT}" for chain in ("input", "forward")))
    near.send(IP(datagram(FAR.host_ip)))
    socket.give_back(socket.take())
    longer = datagram(FAR.host_ip, 1400)
    queued.accept(queued.take(), longer)
    socket.give_back(socket.take())
    assert left(guest, far) == [hop(longer)]
    assert socket.rest() == []


@statement("M11/vrf")
def test_rule_for_a_vrf_matches_nothing(
    guest: Machine, shell: Shell, calls: Calls, near: Wire, far: Wire, chains: Chains
) -> None:
    """Rules see the interface that receives or sends the packet."""
    load(shell, "vrf")
    Links(calls).vrf("blue", 100, NEAR.interface, FAR.interface)
    shell.check(f"ifconfig blue up && arp -i {FAR.interface} -s {FAR.host_ip} {FAR.host_mac}")
    rules = (("input", NEAR), ("forward", FAR), ("output", FAR))
    chains.append(*(f"{chain} -i blue -j DENY" for chain, _ in rules))
    chains.append(*(f"{chain} -i {link.interface} -p UDP" for chain, link in rules))
    near.send(IP(datagram(FAR.host_ip)))
    assert left(guest, far) == [hop(datagram(FAR.host_ip))]
    assert [chains.counts(chain) for chain, _ in rules] == [[0, 1]] * 3


@statement("M1/rules", "M12/log")
def test_log_is_of_the_first_namespace(
    shell: Shell, calls: Calls, chains: Chains, namespaces: Callable[[], Namespace]
) -> None:
    """Or of all of them, as netfilter's."""
    other = namespaces()

    def logged(place: Calls) -> int:
        before = shell.check("dmesg").count(LOGGED)
        place.ok("sendto", "sender", "text:around", f"in:127.0.0.1:{UDP_PORT}")
        return shell.check("dmesg").count(LOGGED) - before

    for place, rules in ((calls, chains), (other.calls, other.chains)):
        place.ok("socket", "sender", "inet", "dgram", 17)
        rules.append("input -i lo -p UDP -l")
    assert (logged(calls), logged(other.calls)) == (1, 0)
    shell.check("echo 1 >/proc/sys/net/netfilter/nf_log_all_netns")
    assert logged(other.calls) == 1


@statement("I2/again", "I6/forgotten")
@pytest.mark.needs("modern-stack")
def test_so_many_can_be_sent_again_and_no_more(
    shell: Shell, calls: Calls, near: Wire, divert: Divert, chains: Chains
) -> None:
    """Of those that one socket has given back, the last."""
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    socket = divert(PORT)
    calls.ok("setsockopt", socket.name, "socket", "rcvbuf", "int:4000000")
    chains.append(f"forward -p UDP -j DIVERT {PORT}")

    def others(count: int) -> None:
        for begin in range(0, count, 100):
            some = min(100, count - begin)
            near.send_all([IP(datagram(FAR.host_ip))] * some)
            assert calls.ok("hold", socket.name, some)["result"] == some
        assert calls.ok("release", socket.name)["result"] == count

    near.send(IP(datagram(FAR.host_ip)))
    first = socket.take()
    socket.give_back(first)
    others(AGAIN - 1)
    socket.give_back(first)
    others(1)
    assert socket.refused(first.data, first.address) == "ESTALE"
