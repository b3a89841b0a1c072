# SPDX-License-Identifier: GPL-2.0-only
"""M11. What a program changes in a VRF's packet is routed by the VRF, whoever has sent it."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.netlink import Links
from tests.guest.support.stack import load

statement = pytest.mark.statement

PORT = 1234
# Neighbours of the wires' hosts, to whom no route leads but in the VRF.
NEAR_OTHER, FAR_OTHER = "192.0.2.3", "198.51.100.3"


@pytest.fixture(autouse=True)
def vrf(shell: Shell, calls: Calls, near: Wire, far: Wire) -> None:
    """Both wires are in one."""
    load(shell, "vrf")
    Links(calls).vrf("blue", 100, NEAR.interface, FAR.interface)
    shell.check("ifconfig blue up")
    near.add_address(NEAR_OTHER)
    far.add_address(FAR_OTHER)


def changed(data: bytes, **fields: str) -> bytes:
    """With these fields of the header, its checksums right."""
    packet = IP(data)
    for name, value in fields.items():
        setattr(packet, name, value)
    del packet.chksum
    if UDP in packet:
        del packet[UDP].chksum
    return built(packet)


@statement("M11/vrf")
def test_answer_of_the_kernels_own_to_another(
    guest: Machine, near: Wire, divert: Divert, chains: Chains
) -> None:
    """It has no socket that is bound to the VRF."""
    socket = divert(PORT)
    chains.append(f"output -i {NEAR.interface} -p ICMP -j DIVERT {PORT}")
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=7) / ICMP(id=1) / b"in a VRF")
    taken = socket.take()
    answer = changed(taken.data, dst=NEAR_OTHER)
    socket.reinject(taken, answer)
    assert left(guest, near) == [answer]


@statement("M11/vrf")
def test_forwarded_packet_with_a_source_of_this_hosts_own(
    guest: Machine, near: Wire, far: Wire, divert: Divert, chains: Chains
) -> None:
    socket = divert(PORT)
    chains.append(f"forward -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9)
    sent = built(header / UDP(sport=3000, dport=UDP_PORT) / b"in a VRF")
    near.send(IP(sent))
    taken = socket.take()
    assert taken.data == hop(sent)
    own = changed(taken.data, src=FAR.guest_ip, dst=FAR_OTHER)
    socket.reinject(taken, own)
    assert left(guest, far) == [own]
