# SPDX-License-Identifier: GPL-2.0-only
"""M11. What leaves is its sender's, for the programs of the sender's control group too."""

from __future__ import annotations

import pytest

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, left
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, UDP_PORT
from harness.base.deadline import Deadline
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.kept import Keeper
from tests.guest.support.netlink import Links
from tests.guest.support.stack import load

statement = pytest.mark.statement

PORT = 1234
GROUP = "/tmp/cgroup"


@statement("M11/sender")
@pytest.mark.parametrize("doing", ["given-back", "kept", "changed"])
def test_program_of_the_control_group_sees_what_leaves(
    doing: str, guest: Machine, shell: Shell, calls: Calls, far: Wire, chains: Chains
) -> None:
    """Once each, whether it was taken or not."""
    shell.check(f"mkdir {GROUP} && mount -t cgroup2 none {GROUP} && mkdir {GROUP}/mine")
    sender = Calls(shell)
    shell.check(f"echo {sender.pid} >{GROUP}/mine/cgroup.procs")
    counter = shell.start(f"egress {GROUP}/mine", ready="ready")

    def seen() -> int:
        counter.send(b"how many\n")
        return int(counter.expect(r"^\d+\n", 5)[0])

    sender.ok("socket", "sender", "inet", "dgram", 17)
    sender.ok("sendto", "sender", "text:not-taken", f"in:{FAR.host_ip}:{UDP_PORT}")
    assert seen() == 1
    socket = Keeper(calls, PORT) if doing == "kept" else DivertSocket(calls, PORT)
    chains.append(f"output -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    sender.ok("sendto", "sender", "text:taken", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = socket.take()
    assert seen() == 1
    if isinstance(socket, Keeper):
        socket.go_on(taken)
    else:
        # The type of service is a byte that changes its way's look-up too.
        changed = taken.data[:1] + b"\x10" + taken.data[2:]
        socket.reinject(taken, changed if doing == "changed" else taken.data)
    assert len(left(guest, far)) == 2
    assert seen() == 2


def sockets(shell: Shell) -> int:
    """How many there are whose memory is not freed: closed ones, too, that somebody holds."""
    return int(shell.check("sed -n 's/^sockets: used //p' /proc/net/sockstat"))


@statement("M11/sender", "I2/again")
def test_sender_that_has_closed_is_not_held_for_a_second_packet(
    guest: Machine, shell: Shell, calls: Calls, far: Wire, chains: Chains
) -> None:
    """What is left of a packet that was given back needs it no more."""
    socket = DivertSocket(calls, PORT)
    chains.append(f"output -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    calls.ok("sendto", "sender", "text:taken", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = socket.take()
    before = sockets(shell)
    socket.reinject(taken)
    assert left(guest, far) == [taken.data]
    calls.ok("close", "sender")
    # It is freed by a soft interrupt, when the card has told that its datagram has left.
    deadline = Deadline(5, "end of the sender's socket")
    while sockets(shell) != before - 1:
        deadline.check()
    socket.reinject(taken)
    assert left(guest, far) == [taken.data]


# Of a socket sch_fq lets so many wait; what it paces by so many bytes a second waits a second.
MOST, RATE = 100, 50
MAX_PACING_RATE = 47


@statement("M11/turn", "I2/refused")
@pytest.mark.parametrize("given", ["back", "new"])
def test_full_queue_of_its_interface_is_told(
    given: str, shell: Shell, calls: Calls, chains: Chains
) -> None:
    """As its sender would be; and after an error everything is as before."""
    load(shell, "sch_fq")
    links = Links(calls)
    links.queue(FAR.interface, "fq")
    socket = DivertSocket(calls, PORT)
    calls.ok("setsockopt", socket.name, "socket", "rcvbuf", "int:400000")
    chains.append(f"output -i {FAR.interface} -p UDP -j DIVERT {PORT}")
    calls.ok("socket", "sender", "inet", "dgram", 17)
    for name in ("sender", socket.name):
        calls.ok("setsockopt", name, "socket", MAX_PACING_RATE, f"int:{RATE}")
    many = MOST + 30
    for _ in range(many):
        calls.ok("sendto", "sender", "text:one-of-many", f"in:{FAR.host_ip}:{UDP_PORT}")
    taken = [socket.take() for _ in range(many)]
    # Through one that has never received anything, what is new: by its own rate.
    addresses = [each.address if given == "back" else "none" for each in taken]
    pairs = zip(taken, addresses, strict=True)
    rows = [(each, socket.send(each.data, address)) for each, address in pairs]
    refused = [each for each, row in rows if row["result"] < 0]
    assert {row.get("error") for _, row in rows} == {None, "ENOBUFS"}
    assert len(refused) <= 30
    links.queue(FAR.interface, "pfifo")
    for each, address in zip(taken, addresses, strict=True):
        if each in refused:
            socket.inject(each.data, address)
