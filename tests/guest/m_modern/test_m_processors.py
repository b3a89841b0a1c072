# SPDX-License-Identifier: GPL-2.0-only
"""M7. Several processors: rules, ports and packets at the same time."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from divert_reference.chains import Chains
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import TCP_PORT, UDP_PORT
from harness.base.deadline import Deadline
from harness.guest.machine import Machine
from harness.guest.shell import Shell

statement = pytest.mark.statement

OUT, IN = 1001, 1002
STREAMS = 3
BYTES = 1_000_000
OPENED = 50
SECONDS = 120
# So often has each to happen that can happen to a packet that is read while that changes.
EACH = 200
# Rules that come and go before the one that takes the packets, as packets pass; none matches.
CHANGES = """\
while test ! -e /tmp/enough; do
  ipchains -I output 1 -s 198.51.100.1 -j DENY
  ipchains -N other && ipchains -A other -s 198.51.100.2 -j DIVERT 9
  ipchains -I input 1 -p TCP -d 198.51.100.3 -j other
  ipchains -D input 1 && ipchains -F other && ipchains -X other
  ipchains -D output 1
  echo changed
done"""


class Stream:
    """A TCP connection on the loopback, of two programs."""

    def __init__(self, shell: Shell, number: int) -> None:
        self.server, self.client = Calls(shell), Calls(shell)
        port = TCP_PORT + number
        self.server.ok("socket", "listener", "inet", "stream", 0)
        self.server.ok("bind", "listener", f"in:127.0.0.1:{port}")
        self.server.ok("listen", "listener", 5)
        self.client.ok("socket", "client", "inet", "stream", 0)
        self.client.ok("connect", "client", f"in:127.0.0.1:{port}")
        self.server.ok("accept", "listener", "peer")

    def begin(self) -> Callable[[], None]:
        """Let it run; what is returned waits for its end, and for all of it to be there."""
        drained = self.server.begin("drain", "peer")
        pumped = self.client.begin("pump", "client", BYTES)

        def end() -> None:
            sent = pumped()
            self.client.ok("shutdown", "client", "write")
            got = drained()
            assert (sent["result"], got["result"]) == (BYTES, BYTES)
            assert got["value"] == sent["value"]

        return end


@statement("M7/streams", "M7/counts", "M8/stream")
@pytest.mark.parametrize("how", ["", "--keep "], ids=["given-back", "kept"])
def test_streams_while_rules_and_ports_come_and_go(
    how: str,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    chains: Chains,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    assert shell.check("cat /proc/cpuinfo").count("processor\t:") > 1
    programs = [
        shell.start(f"bench-reinject {how}{words}", ready='"ready"')
        for words in (str(OUT), f"--batch 32 {IN}")
    ]
    chains.append(f"output -i lo -p TCP -j DIVERT {OUT}", f"input -i lo -p TCP -j DIVERT {IN}")
    changes = shell.start(f"sh -c '{CHANGES}'", ready="changed")
    # Their handshakes, too, pass while the rules change.
    ends = [Stream(shell, number).begin() for number in range(STREAMS)]
    for _ in range(OPENED):
        calls.ok("socket", "come-and-go", "inet", "raw", "divert")
        calls.ok("bind", "come-and-go", "in:0.0.0.0:9")
        calls.ok("close", "come-and-go")
    for end in ends:
        end()
    shell.check("touch /tmp/enough")
    assert changes.wait(SECONDS).status == 0
    assert changes.lines.count("changed") > STREAMS
    chains.flush()
    deadline = Deadline(SECONDS, "all that was taken to be given back")
    while any(row.delivered != row.injected for row in proc_divert().ports.values()):
        deadline.check()
    counts = proc_divert().ports
    assert sorted(counts) == [OUT, IN]
    # What found its queue full was sent again (S9); nothing else is missing.
    for port, program in zip((OUT, IN), programs, strict=True):
        assert counts[port].injected > STREAMS * BYTES / 65535
        program.signal("TERM")
        said = json.loads(program.wait().stdout.splitlines()[-1])
        assert said["packets"] == counts[port].delivered


@statement("M7/keep", "M8/dropped")
@pytest.mark.parametrize("how", ["", "--drop "], ids=["switched", "dropped"])
def test_keeping_is_turned_on_and_off_while_another_reads(
    how: str, shell: Shell, chains: Chains, proc_divert: Callable[[], ProcDivert]
) -> None:
    """Each packet goes on once, or is dropped once, and nothing is charged for it at the end."""
    program = shell.start(f"keep-switch {how}{OUT} {UDP_PORT} {EACH}", ready='"ready"')
    rule = f"output -i lo -p UDP -d 127.0.0.1 {UDP_PORT}"
    chains.append(f"{rule} -j DIVERT {OUT}", rule)
    program.send(b"begin\n")
    said = json.loads(program.expect(r'^\{"event":.*\n', SECONDS)[0])
    assert said["event"] == "end", said
    went = said["returned"] + said["went"]
    assert said["read"] == said["sent"] == went + said["dropped"]
    assert said["arrived"] == went
    assert said["memory"] == 0
    assert chains.counts("output") == [said["sent"], went]
