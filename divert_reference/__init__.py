# SPDX-License-Identifier: GPL-2.0-only
"""Divert sockets from Python: guests, packets, rules and programs (docs/python.md).

    from divert_reference import IP, UDP, guest

    with guest("base") as machine:
        machine.chains.append("input -p UDP -j DIVERT 1000")
        socket = machine.divert(1000)
        machine.near.send(IP(src="192.0.2.2", dst="192.0.2.1") / UDP(dport=9) / b"hello")
        print(socket.take().packet.summary())

What is named here stays as it is from version to version; all else is the project's own.
"""

from divert_reference.chains import Chains
from divert_reference.divert import DivertSocket, Injector, Taken
from divert_reference.guest import Guest, guest
from divert_reference.programs import Calls, Counters, Interceptor, ProcDivert, Seen
from divert_reference.traffic import Flow, Traffic
from harness.base.errors import GuestError, GuestLostError, InfrastructureError, UserError
from harness.guest.process import Process, Result
from harness.guest.shell import Shell
from harness.network.wire import Wire

__all__ = [
    "Calls",
    "Chains",
    "Counters",
    "DivertSocket",
    "Flow",
    "Guest",
    "GuestError",
    "GuestLostError",
    "InfrastructureError",
    "Injector",
    "Interceptor",
    "ProcDivert",
    "Process",
    "Result",
    "Seen",
    "Shell",
    "Taken",
    "Traffic",
    "UserError",
    "Wire",
    "guest",
]
