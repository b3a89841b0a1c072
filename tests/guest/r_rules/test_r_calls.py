# SPDX-License-Identifier: GPL-2.0-only
"""R4, R5. Rules set by setsockopt() with the structures of linux/ip_fw.h."""

from __future__ import annotations

import re

import pytest

from divert_reference.chains import TARGET, Chains
from divert_reference.fixtures import Divert
from divert_reference.programs import Calls
from divert_reference.traffic import Traffic
from harness.guest.shell import Shell
from tests.guest.support.firewall import (
    check_of,
    delete_number,
    firewall,
    label,
    numbered,
    policy,
    rule,
)

statement = pytest.mark.statement
needs = pytest.mark.needs

# In the other byte order it is 513, on which somebody else listens.
PORT, SWAPPED = 0x0102, 0x0201
DIVERT, DENY = rule("forward", "DIVERT", PORT), rule("forward", "DENY", 0)


def listed(chains: Chains) -> list[str]:
    """Targets of the forward chain's rules, with ports where they have one."""
    return [
        f"{row[TARGET]} {row[-1]}" if row[TARGET] == "DIVERT" else row[TARGET]
        for row in chains.rows("forward")
    ]


@statement("R4/append", "R4/insert", "R4/replace", "R4/delete")
def test_each_option(calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    assert (len(DIVERT), len(numbered(1, DIVERT)), len(delete_number(1, "input"))) == (80, 84, 16)
    assert control("fw_append", DENY) == ""
    assert control("fw_append", DIVERT) == ""
    assert listed(chains) == ["DENY", f"DIVERT {PORT}"]
    assert control("fw_insert", numbered(1, rule("forward", "DIVERT", 65535))) == ""
    assert control("fw_insert", numbered(3, rule("forward", "DIVERT", 1))) == ""
    assert listed(chains) == ["DIVERT 65535", "DENY", "DIVERT 1", f"DIVERT {PORT}"]
    assert control("fw_replace", numbered(2, rule("forward", "DIVERT", 7))) == ""
    assert control("fw_replace", numbered(3, DENY)) == ""
    assert listed(chains) == ["DIVERT 65535", "DIVERT 7", "DENY", f"DIVERT {PORT}"]
    assert control("fw_delete_num", delete_number(2, "forward")) == ""
    assert control("fw_delete", DIVERT) == ""
    assert control("fw_delete", rule("forward", "DIVERT", 9)) == "EINVAL"
    assert listed(chains) == ["DIVERT 65535", "DENY"]
    assert control("fw_flush", b"forward\0\0") == ""
    assert listed(chains) == []


@statement("R2/user-chains")
def test_chains_come_and_go(calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    ours = label("ours")
    assert control("fw_createchain", ours) == ""
    assert control("fw_createchain", ours) == "EEXIST"
    assert control("fw_append", rule("ours", "DIVERT", PORT)) == ""
    assert control("fw_append", rule("forward", "ours", 0)) == ""
    assert listed(chains) == ["ours"]
    assert control("fw_deletechain", ours) == "EBUSY", "a rule jumps to it"
    assert control("fw_delete", rule("forward", "ours", 0)) == ""
    assert control("fw_deletechain", ours) == "ENOTEMPTY"
    assert control("fw_flush", ours) == ""
    assert control("fw_deletechain", ours) == ""
    assert control("fw_deletechain", ours) == "ENOENT"


@statement("R4/byte-order")
@pytest.mark.parametrize("option", ["fw_append", "fw_insert", "fw_replace"])
def test_port_is_in_host_byte_order(
    option: str, calls: Calls, chains: Chains, traffic: Traffic, divert: Divert
) -> None:
    ours, theirs = divert(PORT), divert(SWAPPED)
    control = firewall(calls)
    if option == "fw_replace":
        assert control("fw_append", DENY) == ""
    assert control(option, DIVERT if option == "fw_append" else numbered(1, DIVERT)) == ""
    assert listed(chains) == [f"DIVERT {PORT}"]
    flow = traffic.send("through", "udp")
    assert traffic.arrived([flow]) == []
    assert ours.rest() == [flow.at("forward")]
    assert theirs.rest() == []


@statement("R4/append")
def test_any_socket_of_inet_will_do(calls: Calls, chains: Chains) -> None:
    for kind in ("dgram", "stream"):
        calls.ok("socket", kind, "inet", kind, 0)
        calls.ok("setsockopt", kind, "ip", "fw_append", f"hex:{DIVERT.hex()}")
    calls.ok("socket", "divert", "inet", "raw", 254)
    calls.ok("setsockopt", "divert", "ip", "fw_append", f"hex:{DIVERT.hex()}")
    assert listed(chains) == [f"DIVERT {PORT}"] * 3


@statement("R4/proc")
def test_proc_shows_label_and_port(shell: Shell, calls: Calls) -> None:
    assert firewall(calls)("fw_append", DIVERT) == ""
    text = shell.check("cat /proc/net/ip_fwchains")
    (line,) = (line for line in text.splitlines() if line.split()[0] == "forward")
    # Behind the TOS masks: the port, in hexadecimal, a mark, an output size, the target.
    assert re.search(rf" AFF X00 {PORT:08X} 0 0 +DIVERT$", line), line


STRUCTURES = {
    "fw_append": DIVERT,
    "fw_insert": numbered(1, DIVERT),
    "fw_replace": numbered(1, DIVERT),
    "fw_delete": DIVERT,
    "fw_delete_num": delete_number(1, "forward"),
    "fw_check": check_of(b"\x45" + bytes(27), "eth1", "forward"),
}


@statement("R4/length")
@pytest.mark.parametrize("option", STRUCTURES)
def test_wrong_length(option: str, calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    right = STRUCTURES[option]
    assert control("fw_append", DIVERT) == ""
    for length in (0, 1, len(right) - 4, len(right) - 1, len(right) + 1, len(right) + 4, 4096):
        assert control(option, (right + bytes(4096))[:length]) == "EINVAL", length
    assert listed(chains) == [f"DIVERT {PORT}"]
    assert control(option, right) == ""


@statement("R4/port-0")
def test_port_0(calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    nothing = rule("forward", "DIVERT", 0)
    assert control("fw_append", DIVERT) == ""
    assert control("fw_append", nothing) == "EINVAL"
    assert control("fw_insert", numbered(1, nothing)) == "EINVAL"
    assert control("fw_replace", numbered(1, nothing)) == "EINVAL"
    assert control("fw_delete", nothing) == "EINVAL"
    assert listed(chains) == [f"DIVERT {PORT}"]
    # Other targets need none.
    assert control("fw_append", DENY) == ""


@statement("R4/eacces")
@pytest.mark.parametrize("option", STRUCTURES)
def test_without_the_capability(option: str, calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    assert control("fw_append", DIVERT) == ""
    calls.ok("capdrop", "net_admin")
    assert control(option, STRUCTURES[option]) == "EACCES"
    assert control(option, STRUCTURES[option][:-1]) == "EACCES"
    assert listed(chains) == [f"DIVERT {PORT}"]


@statement("R4/policy")
def test_not_a_policy(calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    for chain in ("input", "forward", "output"):
        assert control("fw_policy", policy("DIVERT", chain)) == "EINVAL"
        assert f"Chain {chain} (policy ACCEPT):" in chains(f"-L {chain} -n")
    assert control("fw_policy", policy("DENY", "forward")) == ""


@statement("R4/append")
@needs("no firewall-checks")
def test_labels_that_are_nearly_it(calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    for near in ("divert", "DIVER", "DIVERTS", " DIVERT"):
        assert control("fw_append", rule("forward", near, PORT)) == "ENOENT", near
    assert control("fw_append", rule("nowhere", "DIVERT", PORT)) == "ENOENT"
    assert listed(chains) == []


@statement("R5/calls")
def test_kernel_without_divert_refuses_the_target(calls: Calls, chains: Chains) -> None:
    control = firewall(calls)
    assert control("fw_append", DENY) == ""
    for change in (DIVERT, rule("forward", "DIVERT", 0)):
        assert control("fw_append", change) == "ENOENT"
        assert control("fw_insert", numbered(1, change)) == "ENOENT"
        assert control("fw_replace", numbered(1, change)) == "ENOENT"
        assert control("fw_delete", change) == "ENOENT"
    assert listed(chains) == ["DENY"]


@statement("R5/others")
@pytest.mark.parametrize(
    "words", ["input -p TCP -j REDIRECT 80", "forward -j MASQ", "input -j QUEUE"]
)
def test_kernel_of_today_refuses_what_is_not_of_these_chains(
    words: str, calls: Calls, chains: Chains
) -> None:
    """Whatever the port is, and by whichever call."""
    control = firewall(calls)
    assert control("fw_append", DENY) == ""
    for port in (0, PORT):
        change = rule("forward", words.split("-j ")[1].split(maxsplit=1)[0], port)
        assert control("fw_append", change) == "ENOENT"
        assert control("fw_insert", numbered(1, change)) == "ENOENT"
        assert control("fw_replace", numbered(1, change)) == "ENOENT"
        assert control("fw_delete", change) == "ENOENT"
    result = chains.run(f"-A {words}")
    assert (result.status, "No target by that name" in result.stderr) == (1, True)
    assert listed(chains) == ["DENY"]
