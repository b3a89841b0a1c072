# SPDX-License-Identifier: GPL-2.0-only
"""That Python, tcpdump and strace work in the guests that have them, on a packet of a wire each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from scapy.layers.inet import IP, UDP

from harness.base import paths
from harness.base.errors import GuestError
from harness.boot import bootable
from harness.check.steps import StepResult
from harness.check.tally import Tally
from harness.guest.machine import Machine
from harness.guest.process import Process
from harness.interactive import session
from harness.matrix import kernels, variants

NAME = "tools"
_PORT = 1000
_PAYLOAD = 100
_LENGTH = 20 + 8 + _PAYLOAD
# Under TCG Python needs a second to begin, and its modules have to be compiled.
_SECONDS = 60.0
# The program that docs/guest-image.md shows.
_PROGRAM = paths.ROOT / "docs/examples/divert.py"


def tools_steps(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Each of the three, in a guest of the base variant of each distribution's kernel that can be
    had; each counts as a test.

    Skipped for a kernel that cannot be had, which `guest_tests` tells.
    """
    tally = Tally(NAME)
    for row in variants.select():
        if row.short != "base" or kernels.named(row.kernel).sources:
            continue
        with tally.test(row.name, count=0):
            built = bootable.build(row, given).with_tools()
            with session.boot(NAME, built) as machine:
                machine.ssh.put(_PROGRAM, "/root/divert.py")
                machine.ssh.check(f"ipchains -A input -p udp -j DIVERT {_PORT}")
                for test in _TESTS:
                    with tally.test(f"{row.name}, {test.__name__.strip('_')}"):
                        test(machine)
                        machine.check()
    return tally.result()


def _python(machine: Machine) -> None:
    """A divert socket of Python's reads a packet, and reinjects it."""
    process = machine.ssh.start("python3 -u divert.py 1000", ready="listening", seconds=_SECONDS)
    _send(machine)
    process.expect(rf"{_LENGTH} bytes from 192\.0\.2\.1, tag [0-9a-f]*[1-9a-f]", _SECONDS)
    _arrives(machine)
    _ends(process)


def _tcpdump(machine: Machine) -> None:
    """It shows the packet that the guest forwards, on both of its interfaces."""
    words = "tcpdump -n -l -c 1 -i eth2 udp and dst port 9"
    dump = machine.ssh.start(f"sh -c '{words} 2>&1'", ready="listening on eth2", seconds=_SECONDS)
    process = machine.ssh.start(
        f"interceptor --reinject --count 1 {_PORT}", ready="listening", seconds=_SECONDS
    )
    _send(machine)
    dump.expect(rf"IP 192\.0\.2\.2\.7 > 198\.51\.100\.2\.9: UDP, length {_PAYLOAD}", _SECONDS)
    _arrives(machine)
    for each in (dump, process):
        _ends(each)


def _strace(machine: Machine) -> None:
    """It shows the address that a packet is received with."""
    words = "strace -e trace=recvfrom,sendto -o calls python3 -u divert.py 1000"
    process = machine.ssh.start(words, ready="listening", seconds=_SECONDS)
    _send(machine)
    _arrives(machine)
    _ends(process)
    said = machine.ssh.check("cat calls")
    wanted = r"recvfrom\(3, \"E.*, \{sa_family=AF_INET, .*192\.0\.2\.1.*\[16\]\) = " + str(_LENGTH)
    if not re.search(wanted, said):
        raise GuestError("strace does not show a recvfrom with its address", said)


_TESTS: tuple[Callable[[Machine], None], ...] = (_python, _tcpdump, _strace)


def _send(machine: Machine) -> None:
    for wire in machine.wires:
        wire.clear()
    packet = IP(src="192.0.2.2", dst="198.51.100.2") / UDP(sport=7, dport=9)
    machine.wires[0].send(packet / bytes(_PAYLOAD))


def _arrives(machine: Machine) -> None:
    machine.wires[1].expect(
        lambda each: UDP in each and each[UDP].dport == 9,
        seconds=_SECONDS,
        what="packet that was reinjected",
    )


def _ends(process: Process) -> None:
    result = process.wait(_SECONDS)
    if result.status != 0:
        raise GuestError(f"`{process.command}` ended with {result.how}", result.stderr)
