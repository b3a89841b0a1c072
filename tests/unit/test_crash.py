# SPDX-License-Identifier: GPL-2.0-only
"""Each line of a console means what it says; what a guest writes when all is well means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.crash import classify, rules

CONSOLES = Path(__file__).parent / "consoles"


def names(console: str) -> list[str]:
    lines = (CONSOLES / console).read_text().splitlines()
    return [crash.name for crash in map(classify, lines) if crash]


def test_boot_is_no_crash() -> None:
    assert names("boot.txt") == []


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        ("panic.txt", ["panic"]),
        ("oops.txt", ["oops", "oops", "oops"]),
        ("oops-in-interrupt.txt", [*["oops"] * 5, "interrupt killed", "panic"]),
    ],
)
def test_golden_consoles(console: str, expected: list[str]) -> None:
    assert names(console) == expected


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("Kernel panic: Attempted to kill init!", "panic"),
        ("Kernel panic: skput:over: c0155b10:1501 put:1 dev:eth1", "panic"),
        ("Kernel panic: Free list corrupted", "panic"),
        ("Unable to handle kernel paging request at virtual address 5a5a5a5a", "oops"),
        ("general protection fault: 0000", "oops"),
        ("general protection: 0018", "oops"),
        ("invalid operand: 0000", "oops"),
        ("divide error: 0000", "oops"),
        ("EIP:    0010:[<c0155b10>]", "oops"),
        ("Aiee, killing interrupt handler", "interrupt killed"),
        ("Scheduling in interrupt", "scheduled in interrupt"),
        ("System halted.", "halted"),
        ("kfree: Bad obj c01ab960", "memory corrupted"),
        (
            "kmem_free: Either bad obj addr or double free (objp=c0, name=skbuff)",
            "memory corrupted",
        ),
        ("swap_out_pmd: bad pmd (00000001)", "memory corrupted"),
        ("Warning: kfree_skb passed an skb still on a list (from c0156).", "memory corrupted"),
        ("alloc_skb called nonatomically from interrupt c0155b10", "wrong in interrupt"),
        ("Out of memory for interceptor.", "out of memory"),
        ("VM: killing process interceptor", "out of memory"),
        ("double lock on socket at c0155b10", "kernel bug"),
        ("bug: kernel timer added twice at c0155b10.", "kernel bug"),
        ("eth1: transmit timed out, switching to MII media.", "card stuck"),
    ],
)
def test_faults(line: str, name: str) -> None:
    crash = classify(line)
    assert crash is not None
    assert (crash.name, crash.line, crash.words) == (name, line, line)


@pytest.mark.parametrize(
    "line",
    [
        "EIP:    0023:[<0804b10c>]",
        "device eth1 entered promiscuous mode",
        "IP_MASQ: reverse ICMP: failed checksum from 192.0.2.2!",
        "Packet log: input DENY eth1 PROTO=17 192.0.2.2:1 192.0.2.1:2 L=28",
        "interceptor: sendto: Network is unreachable",
        "neighbour table overflow",
        "",
    ],
)
def test_no_faults(line: str) -> None:
    assert classify(line) is None


def test_prompt_before_the_kernel_s_words() -> None:
    crash = classify("divert# Kernel panic: Attempted to kill init!")
    assert crash is not None
    assert crash.words == "Kernel panic: Attempted to kill init!"


def test_end_of_a_report() -> None:
    crash = classify("Oops: 0000")
    assert crash is not None
    assert crash.is_over_with("Code: 8b 40 10 c3 ")
    assert not crash.is_over_with("Oops: 0000")
    assert crash.guest_goes_on


def test_what_ends_the_guest() -> None:
    final = {rule.name for rule in rules() if not rule.guest_goes_on}
    assert final == {"panic", "interrupt killed", "halted", "scheduled in interrupt"}
