# SPDX-License-Identifier: GPL-2.0-only
"""R3, R5. The patched ipchains: every command, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import EVERY_KIND, PACKETS, TARGET, Chains
from divert_reference.fixtures import Listen
from divert_reference.programs import Calls, ProcDivert
from divert_reference.traffic import NEAR, Traffic
from harness.guest.machine import Machine
from tests.guest.support.firewall import check_of, firewall, rule

statement = pytest.mark.statement
needs = pytest.mark.needs

PORT = 1234


def listed(chains: Chains, chain: str = "input") -> list[tuple[str, str]]:
    """Targets and ports of a chain's rules."""
    return [(row[TARGET], row[-1]) for row in chains.rows(chain)]


@statement("R3/append", "R3/insert", "R3/replace", "R3/delete", "R3/list")
def test_ipchains_lists_what_was_set(chains: Chains) -> None:
    chains(f"-A input -p ICMP -j DIVERT {PORT}")
    chains("-I input -p UDP -d 0/0 53 -j DIVERT 65535")
    chains("-A input -i eth1 -j DIVERT 1")
    assert listed(chains) == [("DIVERT", "65535"), ("DIVERT", str(PORT)), ("DIVERT", "1")]
    chains("-I input 2 -i eth1 -p TCP -j DIVERT 7")
    chains("-D input 2")
    chains("-R input 2 -p ICMP -j DIVERT 4321")
    assert listed(chains) == [("DIVERT", "65535"), ("DIVERT", "4321"), ("DIVERT", "1")]
    chains("-D input -p ICMP -j DIVERT 4321")
    chains("-D input 1")
    assert listed(chains) == [("DIVERT", "1")]


@statement("R3/delete")
def test_rule_is_deleted_by_its_port(chains: Chains) -> None:
    chains("-A input -p ICMP -j DIVERT 1")
    chains("-A input -p ICMP -j DIVERT 2")
    chains("-A input -p ICMP -j ACCEPT")
    assert chains.run("-D input -p ICMP -j DIVERT 3").status == 1
    assert len(listed(chains)) == 3
    chains("-D input -p ICMP -j DIVERT 2")
    assert [row[TARGET] for row in chains.rows("input")] == ["DIVERT", "ACCEPT"]
    assert listed(chains)[0] == ("DIVERT", "1")
    chains("-D input -p ICMP -j DIVERT 1")
    assert [row[TARGET] for row in chains.rows("input")] == ["ACCEPT"]


# Rules that differ from the first in one thing each.
ALIKE = (
    "-p UDP -s 192.0.2.0/24 1000 -d 198.51.100.0/24 2000 -i eth0",
    "-p TCP -s 192.0.2.0/24 1000 -d 198.51.100.0/24 2000 -i eth0",
    "-p UDP -s 192.0.3.0/24 1000 -d 198.51.100.0/24 2000 -i eth0",
    "-p UDP -s 192.0.2.0/25 1000 -d 198.51.100.0/24 2000 -i eth0",
    "-p UDP -s 192.0.2.0/24 1001 -d 198.51.100.0/24 2000 -i eth0",
    "-p UDP -s 192.0.2.0/24 1000 -d 198.51.101.0/24 2000 -i eth0",
    "-p UDP -s 192.0.2.0/24 1000 -d 198.51.100.0/25 2000 -i eth0",
    "-p UDP -s 192.0.2.0/24 1000 -d 198.51.100.0/24 2001 -i eth0",
    "-p UDP -s 192.0.2.0/24 1000 -d 198.51.100.0/24 2000 -i eth1",
    "-p UDP -s ! 192.0.2.0/24 1000 -d 198.51.100.0/24 2000 -i eth0",
    "-p UDP -s 192.0.2.0/24 1000 -d 198.51.100.0/24 2000 -i eth0 -l",
)


@statement("R3/delete")
def test_rule_is_deleted_by_all_that_it_says(chains: Chains) -> None:
    """Behind rules that differ in one thing each, and with each that it is the one that goes."""
    for words in ALIKE:
        chains(f"-A input {words} -j DIVERT {PORT}")
    rows = chains.rows("input")
    for words in reversed(ALIKE):
        chains(f"-D input {words} -j DIVERT {PORT}")
        del rows[-1]
        assert chains.rows("input") == rows, words


@statement("R3/list")
@pytest.mark.parametrize("flags", ["", "-n", "-v", "-n -v", "-n -v -x", "-n --line-numbers"])
@pytest.mark.parametrize(
    "match",
    ["-p 99", "-p UDP -d 0/0 53", "-p ICMP", "-p ICMP --icmp-type echo-request"],
    ids=["no-ports", "ports", "icmp", "icmp-by-name"],
)
def test_list_shows_target_and_port(match: str, flags: str, chains: Chains) -> None:
    chains("-N mine")
    for chain, port in (("input", 1), ("forward", 65535), ("output", PORT), ("mine", 80)):
        chains(f"-A {chain} {match} -j DIVERT {port}")
        (line,) = (line for line in chains(f"-L {chain} {flags}").splitlines() if "DIVERT" in line)
        assert line.split()[-2:] == ["=>", str(port)], flags
    everything = chains(f"-L {flags}")
    assert [everything.count(f"=> {port}\n") for port in (1, 65535, PORT, 80)] == [1] * 4


@statement("R3/save")
def test_ipchains_saves_what_restores(chains: Chains) -> None:
    def all_rows() -> list[list[list[str]]]:
        return [chains.rows(name) for name in ("input", "forward", "output", "mine")]

    chains("-N mine")
    for words in EVERY_KIND:
        chains(f"-A {words}")
    before, saved = all_rows(), chains("-S")
    assert [len(rows) for rows in before] == [4, 3, 2, 2]
    assert len([line for line in saved.splitlines() if line.startswith("-A")]) == len(EVERY_KIND)
    chains.flush()
    chains("-X")
    for line in saved.splitlines():
        chains(line)
    assert all_rows() == before
    assert chains("-S") == saved
    # Each line deletes the rule that it stands for, and no other.
    for line in saved.splitlines():
        if line.startswith("-A"):
            chains(f"-D {line.removeprefix('-A')}")
    assert all_rows() == [[], [], [], []]


@statement("R3/save")
def test_save_of_one_chain(chains: Chains) -> None:
    for chain in ("input", "forward"):
        chains(f"-A {chain} -p 99 -j DIVERT {PORT}")
    lines = chains("-S forward").splitlines()
    assert [line for line in lines if line.startswith("-A")] == [
        f"-A forward -p 99 -j DIVERT {PORT}"
    ]


DATAGRAM = bytes(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, len=28) / UDP(sport=1, dport=2))


@statement("R3/save")
def test_save_by_its_long_name(chains: Chains) -> None:
    chains.append(f"input -p ICMP -j DIVERT {PORT}", "output -p UDP -j ACCEPT")
    assert f"-A input -p 1 -j DIVERT {PORT}\n" in chains("--save")
    assert chains("--save") == chains("-S")
    assert chains("--save output") == chains("-S output")


@statement("R3/save")
@pytest.mark.parametrize("words", ["-p TCP", "-s 192.0.2.1", "-i eth1", f"-j DIVERT {PORT}"])
def test_save_takes_no_match(words: str, chains: Chains) -> None:
    result = chains.run(f"-S {words}")
    assert (result.status, result.stdout) == (2, "")
    option = words.split(maxsplit=1)[0]
    assert result.stderr.startswith(f"ipchains: Illegal option `{option}' with this command\n")


@statement("R3/others")
@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ("-M -S 7200 10 160", 1, "setting MASQ timeouts failed: Invalid argument"),
        ("-M --set 7200 10 160", 1, "setting MASQ timeouts failed: Invalid argument"),
        ("-M -S", 2, "-S requires 3 timeout values"),
        ("-M -S 7200", 2, "-S requires 3 timeout values"),
        ("-M -S 7200 input", 2, "-S requires 3 timeout values"),
    ],
)
@needs("no masquerading")
def test_timeouts_of_masquerading_are_set_as_before(
    words: str, status: int, told: str, chains: Chains
) -> None:
    """The letter of "save" was theirs alone; this kernel has no masquerading, and says so."""
    result = chains.run(words)
    assert (result.status, result.stdout) == (status, "")
    assert result.stderr.splitlines()[0] == f"ipchains: {told}"


@statement("R3/save", "R3/append")
def test_help_tells_of_it(chains: Chains) -> None:
    text = chains("-h")
    assert "-[LSFZNX] [chain] [options]" in text
    assert "  --save    -S [chain]" in text
    assert "port for DIVERT)" in text


@statement("R3/check", "R3/errno")
@pytest.mark.parametrize("listening", [False, True], ids=["nobody", "listener"])
def test_check_answers_diverted(
    listening: bool,
    calls: Calls,
    chains: Chains,
    listen: Listen,
    proc_divert: Callable[[], ProcDivert],
) -> None:
    """It diverts nothing, and counts nothing."""
    listener = listen(PORT) if listening else None
    chains("-N mine")
    chains.append(
        f"input -i {NEAR.interface} -p UDP -j DIVERT {PORT}",
        f"input -i {NEAR.interface} -p TCP -j mine",
        f"mine -j DIVERT {PORT}",
    )
    probe = f"-C input -i {NEAR.interface} -s {NEAR.host_ip} 1 -d {NEAR.guest_ip} 2"
    assert chains(f"{probe} -p UDP").split() == ["diverted"]
    assert chains(f"{probe} -p TCP").split() == ["diverted"]
    probe = f"-C input -i eth2 -s {NEAR.host_ip} 1 -d {NEAR.guest_ip} 2"
    assert chains(f"{probe} -p UDP").split() == ["accepted"]
    check = firewall(calls)
    assert check("fw_check", check_of(DATAGRAM, NEAR.interface, "input")) == "EREMOTE"
    assert check("fw_check", check_of(DATAGRAM, NEAR.interface, "mine")) == "EREMOTE"
    assert check("fw_check", check_of(DATAGRAM, "eth2", "input")) == ""
    assert chains.counts("input") == [0, 0]
    assert proc_divert().no_listener == 0
    if listener is not None:
        assert listener.finish() == []


@statement("R3/errno")
def test_no_other_verdict_has_this_errno(calls: Calls, chains: Chains) -> None:
    chains("-N mine")
    check = firewall(calls)
    errors = {}
    for target in ("ACCEPT", "DENY", "REJECT", "RETURN", f"DIVERT {PORT}"):
        chains(f"-A mine -j {target}")
        errors[target.split()[0]] = check("fw_check", check_of(DATAGRAM, "eth1", "mine"))
        chains("-F mine")
    errors["nothing"] = check("fw_check", check_of(DATAGRAM, "eth1", "mine"))
    assert errors == {
        "ACCEPT": "",
        "DENY": "ETIMEDOUT",
        "REJECT": "ECONNREFUSED",
        "RETURN": "ENFILE",
        "DIVERT": "EREMOTE",
        "nothing": "ENFILE",
    }


@statement("R3/circle")
def test_check_in_chains_that_lead_back(
    calls: Calls, chains: Chains, expected: Callable[[str], str]
) -> None:
    # Only a test can begin in a chain of the user's own, and so come to the same chain once more.
    chains("-N aside")
    chains("-N mine")
    chains.append("aside -j RETURN", "mine -j aside")
    check = firewall(calls)
    made = check("fw_append", rule("mine", "mine", 0))
    if expected("circle-of-chains") == "refused":
        assert made == "ELOOP"
        assert check("fw_check", check_of(DATAGRAM, NEAR.interface, "mine")) == "ENFILE"
        return
    assert made == ""
    assert check("fw_check", check_of(DATAGRAM, NEAR.interface, "mine")) == "ELOOP"
    # Nothing of the walk is left behind.
    assert check("fw_check", check_of(DATAGRAM, NEAR.interface, "aside")) == "ENFILE"
    assert check("fw_check", check_of(DATAGRAM, NEAR.interface, "mine")) == "ELOOP"


@statement("R3/others")
def test_commands_for_chains_that_have_it(traffic: Traffic, chains: Chains, listen: Listen) -> None:
    listener = listen(PORT)
    chains("-N mine")
    chains.append("input -i eth1 -p UDP -j mine", f"mine -j DIVERT {PORT}")
    traffic.send("in", "udp")
    assert len(listener.next().data) > 28
    assert (chains.counts("input"), chains.counts("mine")) == ([1], [1])
    chains("-Z mine")
    assert (chains.counts("input"), chains.counts("mine")) == ([1], [0])
    # Neither while a rule leads to it, nor while it has rules.
    assert chains.run("-X mine").status == 1
    chains("-F input")
    assert chains.run("-X mine").status == 1
    chains("-F mine")
    chains("-X mine")
    assert "mine" not in chains("-L -n")
    # The policies are no business of a rule's.
    chains("-P forward DENY")
    assert "Chain forward (policy DENY)" in chains("-L forward -n")
    assert len(listener.finish()) == 1


@statement("R3/append")
def test_as_the_howto_has_it(traffic: Traffic, chains: Chains, listen: Listen) -> None:
    listener = listen(1234)
    chains("-A input -p ICMP -j DIVERT 1234")
    flow = traffic.send("in", "icmp")
    assert listener.next().data == flow.sent
    assert [row[PACKETS] for row in chains.rows("input")] == ["1"]


REFUSED = [
    pytest.param(port, id=port.strip() or "none", marks=statement(f"R3/{case}"))
    for case, port in (
        ("no-port", ""),
        ("port-0", " 0"),
        ("port-0", " 00"),
        ("large-port", " 65536"),
        ("large-port", " 65537"),
        ("large-port", " 4294967297"),
        ("large-port", " 99999999999999999999"),
        ("word", " -1"),
        ("word", " many"),
        ("word", " http"),
        ("word", " 12x"),
        ("word", " 0x10"),
        ("word", " 1:2"),
    )
]


@pytest.mark.parametrize("port", REFUSED)
def test_what_is_no_port(port: str, chains: Chains) -> None:
    """In every command that takes one: status 2 and a line that names the trouble, no rule."""
    chains("-A input -p 99 -j ACCEPT")
    before = chains.rows("input")
    for command in ("-A input", "-I input", "-R input 1", "-D input"):
        result = chains.run(f"{command} -p 99 -j DIVERT{port}")
        assert (result.status, result.signal) == (2, ""), command
        assert result.stderr.startswith("ipchains: "), command
        assert "port" in result.stderr.splitlines()[0].lower(), result.stderr
    assert chains.rows("input") == before


@statement("R3/policy")
@pytest.mark.parametrize("words", ["DIVERT", f"DIVERT {PORT}"])
def test_not_a_policy(words: str, chains: Chains) -> None:
    for chain in ("input", "forward", "output"):
        result = chains.run(f"-P {chain} {words}")
        assert (result.status, result.signal) == (2, "")
        refused = "ipchains: DIVERT cannot be a policy, only the target of a rule\n"
        assert result.stderr.startswith(refused)
        assert f"Chain {chain} (policy ACCEPT):" in chains(f"-L {chain} -n")


@statement("R5/ipchains")
def test_kernel_without_divert_has_no_such_target(guest: Machine, chains: Chains) -> None:
    chains("-A input -p 99 -j ACCEPT")
    for command in ("-A input", "-I input", "-R input 1"):
        result = chains.run(f"{command} -p ICMP -j DIVERT {PORT}")
        assert result.status == 1, command
        reason = "(Maybe this kernel doesn't support divert sockets?)"
        assert result.stderr == f"ipchains: No target by that name {reason}\n", command
    assert [row[TARGET] for row in chains.rows("input")] == ["ACCEPT"]
