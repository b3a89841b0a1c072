# SPDX-License-Identifier: GPL-2.0-only
"""F7. What always-defragment costs: a figure, measured on every kernel."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP

from divert_reference.traffic import FAR, hop, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.datagrams import cut, datagram, glue, statistics

statement = pytest.mark.statement

DATAGRAMS, SIZE, FRAGMENTS = 100, 4000, 3


@statement("F7/figure")
def test_rate_of_fragmented_datagrams_through_the_guest(
    guest: Machine,
    near: Wire,
    far: Wire,
    shell: Shell,
    record_property: Callable[[str, object], None],
    expected: Callable[[str], str],
) -> None:
    """The figure is for the report; what has to hold is that all of them arrive, whole."""
    wholes = [datagram(FAR.host_ip, SIZE, number=0x100 + n) for n in range(DATAGRAMS)]
    frames = [IP(each) for whole in wholes for each in cut(whole)]
    began = time.monotonic()
    near.send_all(frames)
    guest.barrier()
    seconds = time.monotonic() - began
    record_property("datagrams_of_4000_bytes_per_second", round(DATAGRAMS / seconds))
    found = ip_packets(far.captured())
    assert len(found) == DATAGRAMS * FRAGMENTS
    assert glue(found) == [hop(whole) for whole in wholes]
    # It is always-defragment that was measured: each datagram was put together, or none.
    together = statistics(shell)["ReasmOKs"]
    assert together == (DATAGRAMS if expected("forwarded-fragments") == "whole" else 0)
