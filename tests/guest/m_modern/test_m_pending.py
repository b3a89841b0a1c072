# SPDX-License-Identifier: GPL-2.0-only
"""M11. What is kept of packets that were read holds nobody up."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, TCP_PORT, UDP_PORT
from harness.base.deadline import Deadline
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.kept import Keeper
from tests.guest.support.netlink import Links
from tests.guest.support.nft import Nft, masquerade
from tests.guest.support.sockets import MEMINFO, MEMINFO_BYTES
from tests.guest.support.stack import HERE, NAT, THERE, VETH, Namespace, load, pair, unload

statement = pytest.mark.statement
Namespaces = Callable[[], Namespace]

PORT = 1234


def datagram(number: int = 1) -> bytes:
    """From wire 0's host to wire 1's, each of a connection of its own."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=number, ttl=9)
    return built(header / UDP(sport=3000 + number, dport=UDP_PORT) / b"pending")


@pytest.fixture(params=["read", "kept"])
def reader(request: pytest.FixtureRequest, calls: Calls) -> DivertSocket:
    """A divert socket, of which what is read is pending, or kept (M8)."""
    return DivertSocket(calls, PORT) if request.param == "read" else Keeper(calls, PORT)


def gone(socket: DivertSocket) -> str:
    """What is said of a packet that nothing is kept of any more."""
    return "ENOENT" if isinstance(socket, Keeper) else "ESTALE"


def in_send_buffer(calls: Calls, name: str) -> int:
    """What of a socket's send buffer is in use by packets under way."""
    row = calls.ok("getsockopt", name, "socket", MEMINFO, MEMINFO_BYTES)
    return int(struct.unpack_from("=9I", bytes.fromhex(row["hex"]))[2])


@statement("M11/send-buffer")
def test_sender_can_go_on_when_its_datagrams_are_read(
    reader: DivertSocket, calls: Calls, chains: Chains
) -> None:
    """Its buffer has room for a few; of many that are read and not given back it is free."""
    chains.append(f"output -i {NEAR.interface} -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("setsockopt", "sender", "socket", "sndbuf", "int:4608")
    calls.ok("mode", "sender", "nonblock")
    for _ in range(40):
        calls.ok("sendto", "sender", "zero:1000", f"in:{NEAR.host_ip}:{UDP_PORT}")
        reader.take()
        assert in_send_buffer(calls, "sender") == 0
        assert calls.ok("ioctl", "sender", "outq")["value"] == 0


@statement("M11/send-buffer")
def test_stream_is_not_held_up_by_what_is_read(
    reader: DivertSocket, calls: Calls, chains: Chains
) -> None:
    """TCP sends no more than a little that waits below it (TCP small queues)."""
    calls.ok("socket", "server", "inet", "stream", 0)
    calls.ok("bind", "server", f"in:127.0.0.1:{TCP_PORT}")
    calls.ok("listen", "server", 5)
    calls.ok("socket", "client", "inet", "stream", 0)
    calls.ok("connect", "client", f"in:127.0.0.1:{TCP_PORT}")
    calls.ok("accept", "server", "peer")
    chains.append(f"output -i lo -p TCP -d 127.0.0.1 {TCP_PORT} -j DIVERT {PORT}")
    for _ in range(4):
        calls.ok("send", "client", "zero:3000", "dontwait")
        reader.take()
    assert in_send_buffer(calls, "client") <= 4096, "but for what TCP itself has to send again"


@statement("M11/device")
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_interface_goes_while_its_packets_are_pending(
    chain: str,
    reader: DivertSocket,
    shell: Shell,
    calls: Calls,
    chains: Chains,
    namespaces: Namespaces,
) -> None:
    load(shell, *VETH)
    links, other = Links(calls), namespaces()
    pair(shell, links, other)
    chains.append(f"{chain} -p UDP -j DIVERT {PORT}")
    sender, to = (calls, THERE) if chain == "output" else (other.calls, HERE)
    if chain == "forward":
        other.shell.check(f"route add -net 198.51.100.0 netmask 255.255.255.0 gw {HERE}")
        to = FAR.host_ip
    sender.ok("socket", "sender", "inet", "dgram", 17)
    for _ in range(3):
        sender.ok("sendto", "sender", "text:pending", f"in:{to}:{UDP_PORT}")
    taken = [reader.take(), reader.take()]
    # The third is still queued. What waits for an interface's last user is not answered.
    links.delete("veth0")
    assert "veth0" not in shell.check("cat /proc/net/dev")
    # What was leaving may be routed anew, and there is no way any more.
    known = {gone(reader), "ENETUNREACH"} if chain == "output" else {gone(reader)}
    for each in taken:
        assert reader.refused(each.data, each.address) in known


@statement("M11/namespace")
def test_namespace_goes_while_its_packets_are_pending(
    reader: DivertSocket, shell: Shell, calls: Calls, chains: Chains, namespaces: Namespaces
) -> None:
    """Its end of the pair goes with it, and so does ours."""
    load(shell, *VETH)
    other = namespaces()
    pair(shell, Links(calls), other)
    chains.append(f"input -i veth0 -p UDP -j DIVERT {PORT}")
    other.calls.ok("socket", "sender", "inet", "dgram", 17)
    for _ in range(2):
        other.calls.ok("sendto", "sender", "text:pending", f"in:{HERE}:{UDP_PORT}")
    reader.take()
    other.calls.begin("exit")
    deadline = Deadline(8, "end of the network namespace, and of the interface with it")
    while "veth0" in shell.check("cat /proc/net/dev"):
        deadline.check()


@statement("M11/tracking-goes")
@pytest.mark.parametrize("read", [2, 0])
@pytest.mark.parametrize("chain", ["forward", "output"])
def test_connection_tracking_goes_while_its_packets_are_pending(
    chain: str,
    read: int,
    reader: DivertSocket,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    chains: Chains,
) -> None:
    load(shell, *NAT)
    nft = Nft(calls)
    masquerade(nft)
    chains.append(f"{chain} -d {FAR.host_ip} -p UDP -j DIVERT {PORT}")
    near.send_all([IP(datagram(number)) for number in (1, 2, 3)])
    guest.barrier()
    taken = [reader.take() for _ in range(read)]
    nft.remove()
    for name in ("nft_masq", "nft_nat", "nft_chain_nat", "nf_nat", "nf_conntrack"):
        unload(shell, name)
    # The others were still queued.
    taken += [reader.take() for _ in range(3 - read)]
    for each in taken:
        assert reader.refused(each.data, each.address) == gone(reader)
    assert left(guest, far) == []


@statement("M11/unconfirmed", "I6/forgotten")
def test_unconfirmed_connections_are_bounded(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """What is beyond is stale, and never leaves untranslated."""
    load(shell, *NAT)
    masquerade(Nft(calls))
    shell.check("echo 3 >/proc/sys/net/ipv4/divert/unconfirmed")
    socket = divert(PORT)
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    near.send_all([IP(datagram(number)) for number in range(1, 6)])
    taken = [socket.take() for _ in range(5)]
    for each in taken[:2]:
        assert socket.refused(each.data, each.address) == "ESTALE"
    for each in taken[2:]:
        socket.reinject(each)
    out = [IP(data) for data in left(guest, far)]
    assert [(packet.src, packet.id) for packet in out] == [(FAR.guest_ip, n) for n in (3, 4, 5)]


@statement("M11/unconfirmed", "M4/masquerade")
def test_many_connections_begin_while_a_program_holds_them(
    guest: Machine,
    shell: Shell,
    calls: Calls,
    near: Wire,
    far: Wire,
    divert: Divert,
    chains: Chains,
) -> None:
    """6,000 first packets, of which each is translated that is not stale."""
    load(shell, *NAT)
    masquerade(Nft(calls))
    shell.check("echo 65536 >/proc/sys/net/netfilter/nf_conntrack_max")
    shell.check("echo 4000000 >/proc/sys/net/core/rmem_max")
    socket = divert(PORT)
    calls.ok("setsockopt", socket.name, "socket", "rcvbuf", "int:4000000")
    chains.append(f"forward -p UDP -j DIVERT {PORT}")
    for first in range(1, 6001, 100):
        near.send_all([IP(datagram(number)) for number in range(first, first + 100)])
        assert calls.ok("hold", socket.name, 100)["result"] == 100
    released = calls.ok("release", socket.name)
    assert released["result"] + released["value"] == 6000
    out = [IP(data).src for data in left(guest, far)]
    assert set(out) == {FAR.guest_ip}
