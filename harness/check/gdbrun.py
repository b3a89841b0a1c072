# SPDX-License-Identifier: GPL-2.0-only
"""That gdb really stops a guest at a packet, of each kernel, and that the guest survives it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import IO

from scapy.layers.inet import IP, UDP

from harness.base import paths
from harness.base.deadline import Deadline
from harness.base.errors import GuestError, InfrastructureError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.check.steps import Counts, StepResult
from harness.check.tally import Tally
from harness.gdb import debugger
from harness.guest.qmp import DEBUG
from harness.matrix import variants

NAME = "gdb"
_PORT = 1000
_HOST = "192.0.2.2"
_PAYLOAD = 100
_LENGTH = 20 + 8 + _PAYLOAD
# Where both kernels have queued nothing yet, and in which frame the packet has a name.
_PLACE = "divert_enqueue"
_PACKET = {True: "frame function ip_fw_check\nprint skb->len", False: "print w->skb->len"}
# Of gdb's own time a second; a distribution's kernel has 100,000 names to read.
_SECONDS = 60.0
_COMMAND_SECONDS = 180.0
_SILENT_SECONDS = 0.5
_CHUNK = 65536


def gdb_steps(given: Sequence[str], _require: Sequence[str]) -> StepResult:
    """Two tests of the base variant of each kernel that can be had: with a packet on a wire, and by
    the command line that docs/debugging.md has.

    Skipped without gdb, which is said, and for a kernel that cannot be had, which `guest_tests`
    tells.
    """
    tally = Tally(NAME)
    tests: tuple[Callable[[Bootable, Sequence[str]], None], ...] = (_at_a_packet, _by_hand)
    rows = [row for row in variants.select() if row.short == "base"]
    try:
        debugger.require()
    except InfrastructureError as error:
        tally.note, rows = f"gdb was not tried: {error}", []
        tally.counts = Counts(skipped=len(tests))
    for row in rows:
        for test in tests:
            with tally.test(row.name):
                test(bootable.build(row, given), given)
    return tally.result()


def _at_a_packet(built: Bootable, given: Sequence[str]) -> None:
    """A packet of a wire stops the guest in the divert code, where its length is read; nobody takes
    the guest for one that hangs; it goes on, and so does the packet.
    """
    found = debugger.files(built, given=given)
    with debugger.boot(built) as (machine, door):
        machine.ssh.check(f"ipchains -A input -p udp -j DIVERT {_PORT}")
        program = machine.ssh.start(f"interceptor --reinject {_PORT}", ready="listening")
        commands = machine.spec.folder / debugger.SCRIPT
        commands.write_text(debugger.script(found, machine, door, [_PLACE]).text())
        then = machine.spec.folder / "then.commands"
        # It goes on when it is told to, by a line on its standard input.
        then.write_text(f"{_PACKET[bool(built.kernel.sources)]}\nshell read line\ndelete\ndetach\n")
        argv = [debugger.PROGRAM, "-nx", "-q", "-batch", f"--command={commands}"]
        with subprocess.Popen(
            [*argv, f"--command={then}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=door.descriptors,
        ) as process:
            assert process.stdin and process.stdout
            said = _Said(process.stdout)
            try:
                said.wait_for("Breakpoint 1 at ")
                packet = IP(src=_HOST, dst="198.51.100.2") / UDP(sport=7, dport=9)
                machine.wires[0].send(packet / bytes(_PAYLOAD))
                said.wait_for(f"$1 = {_LENGTH}\n")
                _require(machine.qmp.state() == DEBUG, "gdb says that the guest is stopped")
                silent = not machine.wires[0].probe(_SILENT_SECONDS)
                _require(silent, "a guest that gdb has stopped answers nothing")
                machine.check()
                process.stdin.write(b"\n")
                process.stdin.flush()
                _require(process.wait(_SECONDS) == 0, "gdb ends well")
            except BaseException:
                process.kill()
                raise
        program.expect(rf"packet 1: {_LENGTH} bytes")
        machine.wires[1].expect(lambda each: UDP in each, what="packet that gdb had stopped")
        machine.check()


def _by_hand(built: Bootable, _given: Sequence[str]) -> None:
    """`./inv gdb`, with a script: it passes on gdb's status, and shows what ran in the guest."""
    start = f"interceptor --firewall --count 1 {_PORT} & ping -c 3 {_HOST}"
    argv = [
        *(sys.executable, "-P", "-m", "harness.base.cli", "--search-root", str(paths.ROOT)),
        *("gdb", "--variant", built.variant.name, "--break", _PLACE, "--start", start),
        *("--", "-nx", "-batch", "-ex", "info symbol $pc", "-ex", "delete", "-ex", "detach"),
        *("-ex", "quit 7"),
    ]
    done = subprocess.run(
        argv,
        cwd=paths.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=_COMMAND_SECONDS,
        check=False,
    )
    for what in (_PLACE, "packet 1: 84 bytes"):
        _require(what in done.stdout, f"it says {what!r}", done.stdout)
    _require(done.returncode == 7, "gdb's status is its own", done.stdout)


def _require(held: bool, what: str, said: str = "") -> None:
    if not held:
        raise GuestError(f"this does not hold: {what}", said[-2000:])


class _Said:
    """What a program says, as far as it was waited for."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._text = b""

    def wait_for(self, words: str) -> None:
        """Raise GuestError if it does not say so in time, or ends before."""
        deadline = Deadline(_SECONDS, f"{words!r} of gdb's")
        while words.encode() not in self._text:
            ready, _, _ = select.select([self._stream], [], [], deadline.remaining)
            data = os.read(self._stream.fileno(), _CHUNK) if ready else b""
            if not data:
                said = self._text.decode(errors="replace")
                raise GuestError(f"gdb does not say {words!r} within {_SECONDS:g} s", said[-2000:])
            self._text += data
