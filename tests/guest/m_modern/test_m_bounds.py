# SPDX-License-Identifier: GPL-2.0-only
"""M12. What chains may be, and how long a packet may be in them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.divert import built, left
from divert_reference.programs import Calls
from divert_reference.traffic import FAR, NEAR, UDP_PORT, hop
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.firewall import check_of, firewall, label, numbered, rule

statement = pytest.mark.statement

DEEPEST = 16
BUDGET = "/proc/sys/net/ipv4/divert/walk_budget"
Control = Callable[[str, bytes], str]


@pytest.fixture
def control(calls: Calls) -> Control:
    """The firewall's options."""
    return firewall(calls)


def made(control: Control, *names: str) -> None:
    """Chains of these names."""
    for name in names:
        assert control("fw_createchain", label(name)) == ""


def path(control: Control, *names: str) -> None:
    """Chains, each of which leads into the next."""
    made(control, *(name for name in names if name not in ("input", "forward", "output")))
    for name, other in itertools.pairwise(names):
        assert control("fw_append", rule(name, other, 0)) == ""


def table(shell: Shell) -> str:
    """All rules and chains, with their references, and without the chains' counters."""
    rules = shell.check("cat /proc/net/ip_fwchains")
    chains = [line.split()[:3] for line in shell.check("cat /proc/net/ip_fwnames").splitlines()]
    return f"{rules}{chains}"


def uptime(shell: Shell) -> float:
    """Seconds, by the guest's own clock."""
    return float(shell.check("cat /proc/uptime").split()[0])


def over_budget(shell: Shell) -> int:
    """How many packets were dropped for it."""
    name, count = shell.check("cat /proc/net/divert_stat").split()
    assert name == "over-budget"
    return int(count)


def packet(number: int) -> bytes:
    """A datagram that the guest forwards."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=number, ttl=9)
    return built(header / UDP(sport=3000, dport=UDP_PORT) / b"through")


PUT: dict[str, Callable[[bytes], tuple[str, bytes]]] = {
    "append": lambda change: ("fw_append", change),
    "insert": lambda change: ("fw_insert", numbered(1, change)),
    "replace": lambda change: ("fw_replace", numbered(1, change)),
}


@statement("M12/circle")
@pytest.mark.parametrize("how", PUT)
@pytest.mark.parametrize("ends", ["aa", "ca", "cb"])
def test_circle_is_not_made(how: str, ends: str, control: Control, shell: Shell) -> None:
    path(control, "a", "b", "c")
    for name in "abc":
        assert control("fw_insert", numbered(1, rule(name, "ACCEPT", 0))) == ""
    before = table(shell)
    option, value = PUT[how](rule(ends[0], ends[1], 0))
    assert control(option, value) == "ELOOP"
    assert table(shell) == before
    # Where it leads on, it is.
    assert control(*PUT[how](rule("a", "c", 0))) == ""


@statement("M12/circle")
def test_rule_that_closes_a_circle_may_be_replaced(control: Control) -> None:
    """The rule that goes does not count; nor does one that is gone."""
    path(control, "a", "b")
    made(control, "c")
    assert control("fw_append", rule("b", "a", 0)) == "ELOOP"
    assert control("fw_replace", numbered(1, rule("a", "c", 0))) == ""
    assert control("fw_append", rule("b", "a", 0)) == ""
    assert control("fw_replace", numbered(1, rule("b", "b", 0))) == "ELOOP"
    assert control("fw_replace", numbered(1, rule("a", "b", 0))) == "ELOOP"
    assert control("fw_flush", label("b")) == ""
    assert control("fw_append", rule("a", "b", 0)) == ""


@statement("M12/depth")
@pytest.mark.parametrize("how", PUT)
def test_chains_are_at_most_so_deep(how: str, control: Control, shell: Shell) -> None:
    names = ["input", *(f"c{number}" for number in range(1, DEEPEST))]
    path(control, *names)
    made(control, "last", "first")
    for name in (names[-1], "first"):
        assert control("fw_append", rule(name, "ACCEPT", 0)) == ""
    before = table(shell)
    # At its end, at its beginning, and in its middle.
    assert control(*PUT[how](rule(names[-1], "last", 0))) == "ELOOP"
    assert control(*PUT[how](rule("first", names[1], 0))) == ""
    assert control("fw_append", rule("output", "first", 0)) == "ELOOP"
    assert control("fw_append", rule("first", "input", 0)) == "ENOENT", "none leads there"
    assert control(*PUT[how](rule("first", "ACCEPT", 0))) == ""
    assert control("fw_flush", label("first")) == ""
    assert control("fw_append", rule("first", "ACCEPT", 0)) == ""
    assert table(shell) == before
    # One less deep, each of them is.
    assert control("fw_flush", label(names[-2])) == ""
    assert control("fw_append", rule(names[-2], "last", 0)) == ""


@statement("M12/depth")
def test_two_long_ways_that_meet(control: Control) -> None:
    """Neither is too deep, and both together are."""
    half = DEEPEST // 2
    path(control, "input", *(f"a{number}" for number in range(1, half)))
    path(control, *(f"b{number}" for number in range(half + 1)))
    assert control("fw_append", rule(f"a{half - 1}", "b0", 0)) == "ELOOP"
    assert control("fw_append", rule(f"a{half - 1}", "b1", 0)) == ""
    assert control("fw_append", rule(f"a{half - 1}", "b0", 0)) == "ELOOP"
    assert control("fw_append", rule(f"a{half - 2}", "b0", 0)) == ""


def exponential(control: Control, jumps: int = 10, chains: int = 9) -> None:
    """Each of so many chains leads so often into the next."""
    names = [f"x{number}" for number in range(chains)]
    made(control, *names)
    for name, other in itertools.pairwise(names):
        for _ in range(jumps):
            assert control("fw_append", rule(name, other, 0)) == ""
    for _ in range(jumps):
        assert control("fw_append", rule(names[-1], "", 0)) == ""


@statement("M12/check")
def test_check_in_an_exponential_set(control: Control, shell: Shell) -> None:
    exponential(control)
    # Calls' own limit for an answer is five seconds; without a budget it takes minutes.
    for _ in range(20):
        answer = control("fw_check", check_of(packet(1), NEAR.interface, "x0"))
        assert answer == "E2BIG"
    assert over_budget(shell) == 0


@statement("M12/budget")
@pytest.mark.parametrize("chain", ["input", "forward", "output"])
def test_packets_in_an_exponential_set(
    chain: str, guest: Machine, control: Control, shell: Shell, near: Wire, far: Wire
) -> None:
    exponential(control)
    assert control("fw_append", rule(chain, "x0", 0)) == ""
    begun = uptime(shell)
    for number in range(1, 101):
        near.send(IP(packet(number)))
    assert left(guest, far) == []
    assert over_budget(shell) == 100
    # Milliseconds each, on a machine that has nothing else to do; logged once a second.
    logged = re.findall(r"divert: dropped, .*walk_budget: (\S+) PROTO=17", shell.check("dmesg"))
    assert 1 <= len(logged) <= uptime(shell) - begun + 2, logged
    assert logged[0] == (NEAR.interface if chain == "input" else FAR.interface)
    assert control("fw_flush", label(chain)) == ""
    near.send(IP(packet(200)))
    assert left(guest, far) == [hop(packet(200))]


@statement("M12/budget", "M12/check")
def test_budget_is_the_owner_s(
    guest: Machine, control: Control, chains: Chains, shell: Shell, near: Wire, far: Wire
) -> None:
    """As many rules as it says are looked at, wherever they are."""
    assert int(shell.check(f"cat {BUDGET}")) == 32768
    for wrong in (0, 15, (1 << 20) + 1, -1):
        assert shell.run(f"echo {wrong} >{BUDGET}").status != 0
    shell.check(f"echo 20 >{BUDGET}")
    made(control, "mine")
    chains.append(*["mine -p TCP"] * 9, "forward -j mine", *["forward -p TCP"] * 10)
    near.send(IP(packet(1)))
    assert left(guest, far) == [hop(packet(1))]
    check = check_of(packet(1), FAR.interface, "forward")
    assert control("fw_check", check) == ""
    chains.append("mine -p UDP")
    near.send(IP(packet(2)))
    assert left(guest, far) == []
    assert over_budget(shell) == 1
    assert control("fw_check", check) == "E2BIG"
    shell.check(f"echo 21 >{BUDGET}")
    near.send(IP(packet(3)))
    assert left(guest, far) == [hop(packet(3))]
    assert control("fw_check", check) == ""


@statement("M12/budget")
def test_copy_counts_as_many_rules(
    guest: Machine, chains: Chains, shell: Shell, near: Wire, far: Wire
) -> None:
    """64, and one more for each 64 bytes that are copied; beside its own rule and those behind."""
    header = IP(src=NEAR.host_ip, dst=FAR.host_ip, id=1, ttl=9)
    sent = built(header / UDP(sport=3000, dport=UDP_PORT) / bytes(200))
    chains.append("forward -p UDP -o 130", "forward -p UDP")
    cost = 2 + 64 + 130 // 64
    for budget, passes in ((cost - 1, False), (cost, True)):
        shell.check(f"echo {budget} >{BUDGET}")
        near.send(IP(sent))
        assert left(guest, far) == [hop(sent)] * passes, budget
    assert over_budget(shell) == 1


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("rule", marks=statement("M12/log")),
        pytest.param("fragment", marks=statement("M12/log-fragments")),
    ],
)
def test_packets_are_logged_at_a_rate(
    what: str, guest: Machine, chains: Chains, shell: Shell, near: Wire
) -> None:
    """So many lines a second, and a line that says how many were left out."""
    chains.append("forward -p UDP -l", "forward -p UDP -l -j DENY")
    begin = float(shell.check("cat /proc/uptime").split()[0])
    # A short first fragment, which is blocked (R1).
    short = IP(src=NEAR.host_ip, dst=FAR.host_ip, ttl=9, proto=17, flags="MF") / b"abc"
    sent = IP(packet(1)) if what == "rule" else short
    for _ in range(20):
        near.send_all([sent] * 20)
        guest.barrier()
    took = float(shell.check("cat /proc/uptime").split()[0]) - begin
    pattern = r"Packet log: " if what == "rule" else r"Suspect short first fragment"
    lines = len(re.findall(pattern, shell.check("dmesg")))
    assert 50 <= lines <= 50 * (took + 2), took
    assert lines < 400
