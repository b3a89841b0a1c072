# SPDX-License-Identifier: GPL-2.0-only
"""R1, R4. Where 2.2.12 has faults, which the module does not follow (module/README)."""

from __future__ import annotations

import re
import struct

import pytest
from scapy.layers.inet import IP

from divert_reference.chains import TARGET, Chains
from divert_reference.divert import built, left
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, Traffic, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.firewall import check_of, firewall, numbered, rule

statement = pytest.mark.statement


@statement("R1/far-fragment")
@pytest.mark.parametrize("offset", [8, 2040, 2048, 4096, 65528 - 2040])
def test_every_fragment_behind_the_first_is_one(
    offset: int, guest: Machine, near: Wire, far: Wire, chains: Chains
) -> None:
    """Its first bytes are no ports, whatever they look like."""
    looks_like_ports = struct.pack("!HH", 3000, UDP_PORT) + bytes(20)
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=7, ttl=9, proto=17, frag=offset // 8)
    packet = built(header / looks_like_ports)
    chains.append(
        f"forward -p UDP -s 0/0 3000 -d 0/0 {UDP_PORT} -j DENY",
        "forward -p UDP ! -f -j DENY",
        "forward -p UDP -f",
    )
    near.send(IP(packet))
    assert left(guest, far) == [hop(packet)]
    assert chains.counts("forward") == [0, 0, 1]


@statement("R1/log-number")
def test_log_tells_the_number_of_the_rule_in_its_chain(
    shell: Shell, chains: Chains, traffic: Traffic
) -> None:
    """Though rules without a target have matched before, and one has been walked in between."""
    chains("-N mine")
    chains.append("mine -p UDP", "mine -p UDP -l")
    chains.append("forward -p TCP", "forward -p UDP", "forward -j mine", "forward -p UDP -l")
    flow = traffic.send("through", "udp")
    assert traffic.arrived([flow]) == [flow.arrives_as()]
    logged = re.findall(r"Packet log: (\S+) .*\(#(\d+)\)", shell.check("dmesg"))
    assert logged == [("mine", "2"), ("forward", "4")]


@statement("R4/beyond")
def test_no_rule_is_lost_at_a_number_that_is_too_high(calls: Calls, chains: Chains) -> None:
    control = firewall(calls)

    def targets() -> list[str]:
        return [row[TARGET] for row in chains.rows("forward")]

    deny, accept = rule("forward", "DENY", 0), rule("forward", "ACCEPT", 0)
    for wrong in (0, 2, 3, 2**32 - 1):
        assert control("fw_insert", numbered(wrong, deny)) == "EINVAL", wrong
    assert control("fw_append", deny) == ""
    for wrong in (0, 3, 4, 2**31, 2**32 - 1):
        assert control("fw_insert", numbered(wrong, accept)) == "EINVAL", wrong
    for wrong in (0, 2, 2**32 - 1):
        assert control("fw_replace", numbered(wrong, accept)) == "EINVAL", wrong
    assert targets() == ["DENY"]
    assert control("fw_insert", numbered(2, accept)) == ""
    assert targets() == ["DENY", "ACCEPT"]


@statement("R4/check-label")
def test_label_of_a_check_ends_in_the_label(calls: Calls, chains: Chains) -> None:
    """Whether there is a zero in the packet's first bytes, where 2.2.12 looks, or not."""
    control = firewall(calls)
    assert control("fw_append", rule("forward", "REJECT", 0)) == ""
    fields = {"src": NEAR.host_ip, "dst": FAR.host_ip, "proto": 17, "ttl": 9}
    without_zero = built(IP(tos=4, len=0x1010, id=0x1111, flags="DF", frag=0x101, **fields) / b"")
    assert 0 not in without_zero[:9]
    with_zero = built(IP(id=0, **fields) / bytes(8))
    assert 0 in with_zero[:9]
    for packet in (without_zero, with_zero):
        assert control("fw_check", check_of(packet, FAR.interface, "forward")) == "ECONNREFUSED"
        assert control("fw_check", check_of(packet, FAR.interface, "ninebytes")) == "EINVAL"
