# SPDX-License-Identifier: GPL-2.0-only
"""I2, M1, M11, S9, T1. Bounds and losses of module/README that no other test is of."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, NUMBERS, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.frames import checksum
from harness.network.wire import Wire
from tests.guest.support import nfqueue
from tests.guest.support.datagrams import cut
from tests.guest.support.netlink import Links
from tests.guest.support.nfqueue import Queue
from tests.guest.support.nft import Nft, destination, masquerade, protocol, queue
from tests.guest.support.stack import NAT, NFTABLES, Namespace, load

statement = pytest.mark.statement

PORT = 1234
AGAIN = 1024
NOTES = 4096
LOGGED = "Packet log: input"
ETH_P_IP = 0x0800
BOUNDS = "/proc/sys/net/ipv4/divert"


def datagram(to: str, size: int = 20) -> bytes:
    """From wire 0's host."""
    header = IP(src=NEAR.host_ip, dst=to, id=0x77, ttl=9)
    return built(header / UDP(sport=3000, dport=UDP_PORT) / bytes(size))


_PARTS = cut(datagram(FAR.host_ip, 24), room=16)


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
    socket.reinject(socket.take())
    longer = datagram(FAR.host_ip, 1400)
    queued.accept(queued.take(), longer)
    socket.reinject(socket.take())
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


@statement("S9/bounds", "S9/namespace", "S9/machine")
def test_bounds_are_at_first_what_the_docs_tell(
    shell: Shell, namespaces: Callable[[], Namespace]
) -> None:
    """In each network namespace; that of all queues is three thirty-seconds of the memory."""
    names = ("pending_packets", "pending_bytes", "net_pending_packets", "net_pending_bytes")
    for place in (shell, namespaces().shell):
        told = [int(place.check(f"cat {BOUNDS}/{name}")) for name in (*names, "unconfirmed")]
        assert told == [16_384, 32 << 20, 65_536, 128 << 20, 0]
    total = re.search(r"^MemTotal: +(\d+) kB", shell.check("cat /proc/meminfo"), re.MULTILINE)
    assert total
    pages = int(shell.check(f"cat {BOUNDS}/mem").split()[0])
    assert pages * 4 == pytest.approx(int(total[1]) * 3 / 32, rel=0.1)


@statement("M11/unconfirmed")
def test_unconfirmed_connections_are_a_quarter_unless_told(
    guest: Machine, shell: Shell, calls: Calls, near: Wire, divert: Divert, chains: Chains
) -> None:
    """Of connection tracking's table, as it is when the first packet is read."""
    load(shell, *NAT)
    masquerade(Nft(calls))
    shell.check("echo 400 >/proc/sys/net/netfilter/nf_conntrack_max")
    socket = divert(PORT)
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, ttl=9)
    near.send_all([header / UDP(sport=1 + each, dport=UDP_PORT) for each in range(103)])
    assert calls.ok("hold", socket.name, 200)["result"] == 103
    released = calls.ok("release", socket.name)
    assert (released["result"], released["value"]) == (100, 3)


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
    socket.reinject(first)
    others(AGAIN - 1)
    socket.reinject(first)
    others(1)
    assert socket.refused(first.data, first.address) == "ESTALE"


def parts_of(number: int) -> list[bytes]:
    """The two fragments of a datagram from wire 0's host to wire 1's, as frames."""
    frames = []
    link = Ether(src=NEAR.host_mac, dst=NEAR.guest_mac, type=ETH_P_IP)
    for part in _PARTS:
        data = bytearray(part)
        data[4:6] = number.to_bytes(2, "big")
        data[10:12] = bytes(2)
        data[10:12] = checksum(bytes(data[:20])).to_bytes(2, "big")
        frames.append(bytes(link) + data)
    return frames


@statement("T1/notes")
@pytest.mark.parametrize("beyond", [0, 1, 3])
def test_so_many_datagrams_that_wait_are_known_as_injected(
    beyond: int,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """Of each one more, one is taken once more when it is whole, and goes on when given back."""
    count = NOTES + beyond
    # The stack's own bounds are others: how many wait, how long, and how many come in between.
    shell.check("cd /proc/sys/net/ipv4 && echo 100000000 >ipfrag_high_thresh")
    shell.check("cd /proc/sys/net/ipv4 && echo 600 >ipfrag_time && echo 0 >ipfrag_max_dist")
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    socket = divert(PORT)
    calls.ok("setsockopt", socket.name, "socket", "rcvbuf", "int:4000000")
    chains.append(f"input -p UDP -j DIVERT {PORT}")
    frames = [parts_of(number) for number in range(1, count + 1)]
    for half in (0, 1):
        # They are taken as they come, and given back to where they are put together.
        always_defragment(shell, 0)
        take_all(calls, near, socket, [each[half] for each in frames])
        always_defragment(shell, 1)
        give_all_back(calls, socket, count)
    assert calls.ok("hold", socket.name, NOTES)["result"] == beyond
    assert len(left(guest, far)) == NOTES
    give_all_back(calls, socket, beyond)
    assert len(left(guest, far)) == beyond
    assert socket.rest() == []


def always_defragment(shell: Shell, value: int) -> None:
    """Switch it."""
    shell.check(f"echo {value} >/proc/sys/net/ipv4/divert/defrag")


def take_all(calls: Calls, near: Wire, socket: DivertSocket, frames: list[bytes]) -> None:
    """Send frames, and hold what is taken of them."""
    for begin in range(0, len(frames), 256):
        some = frames[begin : begin + 256]
        near.send_all(some)
        assert calls.ok("hold", socket.name, len(some))["result"] == len(some)


def give_all_back(calls: Calls, socket: DivertSocket, count: int) -> None:
    """Give back what is held."""
    for begin in range(0, count, 512):
        some = min(512, count - begin)
        assert calls.ok("release", socket.name, some)["result"] == some
