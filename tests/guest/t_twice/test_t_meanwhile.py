# SPDX-License-Identifier: GPL-2.0-only
"""T1. What comes while a packet is injected is another packet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from divert_reference.chains import Chains
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import NEAR, Traffic
from harness.guest.machine import Machine
from harness.network.wire import Wire
from tests.guest.support.sockets import FILLER, FILLER_PORT, Filler, bound, hexed, ipv4

statement = pytest.mark.statement

PORT = 1234
INJECTED = 3000


@statement("T1/others")
def test_what_comes_by_wire_while_another_is_injected(
    guest: Machine,
    calls: Calls,
    near: Wire,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    """Its port takes each, though it has just injected others, which it does not take.

    With PREEMPT_RT the card's interrupt comes in between, on the same processor.
    """
    Filler(calls, chains, PORT)
    bound(calls, "d", PORT)
    chains.append(f"input -i {NEAR.interface} -p UDP -j DIVERT {FILLER_PORT}")
    packet = Traffic.packet("in", "udp", b"meanwhile", 0)
    words = ("sendto", "filler", hexed(ipv4(FILLER)), f"in:{NEAR.guest_ip}:0")
    injected = calls.begin("repeat", INJECTED, *words)
    before = calls.answers
    sent = 0
    while calls.answers == before or not sent:
        near.send_all([packet] * 16)
        sent += 16
    assert injected()["succeeded"] == INJECTED
    guest.barrier()
    assert chains.counts("input") == [INJECTED, sent]
    taken = proc_divert().ports
    assert taken[FILLER_PORT].delivered + taken[FILLER_PORT].dropped == sent
    assert taken[PORT].delivered + taken[PORT].dropped == INJECTED
