# SPDX-License-Identifier: GPL-2.0-only
"""`./inv python`: a Python prompt with a guest, its wires and scapy."""

from __future__ import annotations

import builtins
import code
import readline
import rlcompleter
import sys
from collections.abc import Sequence
from typing import Any

import divert_reference
from divert_reference.guest import Guest, guest
from harness.base import streams, terminal
from harness.base.errors import UserError
from harness.guest import wiretap

_BANNER = """\
machine     the guest, {variant}: machine.output("ipchains -L -n"), machine.divert(1000)
near, far   its wires: near.send(IP(src="192.0.2.2", dst="192.0.2.1")/UDP(dport=9))
chains      its rules: chains.append("input -p UDP -j DIVERT 1000")
All names of scapy are here, too. More is in docs/python.md. Ctrl-D ends it, and the guest.
"""


def prompt(variant: str, source: Sequence[str] = ()) -> int:
    """Boot a guest, and give a prompt; or, where standard input is no terminal, run what is read
    from there. The exit status: 1 if that ended with an exception.

    Raises what `guest` raises; UserError if standard input is closed.
    """
    if not streams.has_input():
        raise UserError("standard input is closed, and this takes what is typed from there")
    with guest(variant, source) as machine:
        names = _names(machine)
        with wiretap.Server(variant, machine.spec.folder, machine.wires):
            if not sys.stdin.isatty():
                return _run(sys.stdin.read(), names)
            readline.set_completer(rlcompleter.Completer(names).complete)
            readline.parse_and_bind("tab: complete")
            code.interact(_BANNER.format(variant=variant), local=names, exitmsg="")
    return 0


def _names(machine: Guest) -> dict[str, Any]:
    import scapy.all  # noqa: PLC0415 (it takes a second)

    names = {name: each for name, each in vars(scapy.all).items() if not name.startswith("_")}
    names |= {name: getattr(divert_reference, name) for name in divert_reference.__all__}
    names |= {"machine": machine, "near": machine.near, "far": machine.far}
    return names | {"chains": machine.chains, "__name__": "__main__", "__builtins__": builtins}


def _run(text: str, names: dict[str, Any]) -> int:
    interpreter = code.InteractiveInterpreter(names)
    failed = False

    def show(data: str) -> None:
        nonlocal failed
        failed = True
        terminal.say(data.rstrip("\n"))

    interpreter.write = show  # type: ignore[method-assign]
    try:
        compiled = compile(text, "<stdin>", "exec")
    except (SyntaxError, ValueError):
        interpreter.showsyntaxerror("<stdin>")
    else:
        interpreter.runcode(compiled)
    sys.stdout.flush()
    return int(failed)
