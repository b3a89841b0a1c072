# SPDX-License-Identifier: GPL-2.0-only
"""M11. What leaves is its sender's, for the programs of the sender's control group too."""

from __future__ import annotations

import pytest

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, left
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, UDP_PORT
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.kept import Keeper

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
        socket.give_back(taken, changed if doing == "changed" else taken.data)
    assert len(left(guest, far)) == 2
    assert seen() == 2
