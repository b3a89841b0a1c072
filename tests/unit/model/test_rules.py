# SPDX-License-Identifier: GPL-2.0-only
"""The model's rules: words, what matches, and the errors of changes."""

from __future__ import annotations

import pytest
from hypothesis import given

from harness.judge import draws, ipfw
from harness.model import packet, rules
from harness.model.chains import Chains
from harness.model.packet import Packet
from harness.model.rules import Rule, rule

PACKET = Packet(
    "192.0.2.2",
    "198.51.100.2",
    packet.UDP,
    packet.body(packet.UDP, "192.0.2.2", "198.51.100.2", (3000, 4000), b""),
)


@given(draws.rules([rules.DIVERT, "", rules.ACCEPT, "one"]))
def test_words_say_all_of_a_rule(drawn: Rule) -> None:
    assert rule(drawn.words()) == drawn
    assert len(ipfw.user(drawn)) == 68


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("", True),
        ("-s 192.0.2.0/24", True),
        ("! -s 192.0.2.0/24", False),
        ("-d 192.0.2.0/24", False),
        ("-i eth1", True),
        ("-i eth+", True),
        ("! -i eth2", True),
        ("-i lo", False),
        ("-p 17", True),
        ("! -p 17", False),
        ("-p 17 --dport 4000:4001", True),
        ("-p 17 ! --dport 4000:4000", False),
        ("-p 17 --sport 1:2", False),
        ("-f", False),
        ("! -f", True),
    ],
)
def test_what_matches(words: str, answer: bool) -> None:
    turned = words.replace("! -f", "-f")
    each = rule(turned)
    if turned != words:
        each = Rule(fragment=True, inverted=frozenset({"fragment"}))
    assert rules.matches(each, PACKET, "eth1") is answer


def test_a_later_fragment_has_no_ports() -> None:
    later = PACKET.changed(fragment=3)
    assert rules.matches(rule("-p 17"), later, "eth1")
    assert not rules.matches(rule("-p 17 --dport 0:65534"), later, "eth1")
    assert not rules.matches(rule("-p 17 ! --dport 9:9"), later, "eth1")


def test_errors_of_changes() -> None:
    chains = Chains(refuses_circles=True)
    assert chains.append("none", Rule()) == "ENOENT"
    assert chains.append("input", rule("-j none")) == "ENOENT"
    assert chains.append("input", rule("-j output")) == "ENOENT"
    assert chains.append("input", rule("-j DIVERT")) == "EINVAL"
    assert chains.append("input", rule("--dport 9:9")) == "EINVAL"
    assert chains.insert("input", 2, Rule()) == chains.replace("input", 1, Rule()) == "EINVAL"
    assert chains.remove("input", 1) == "ENOENT"
    assert chains.delete("input", Rule()) == "EINVAL"
    assert chains.create("one") == "" and chains.create("one") == "EEXIST"
    assert chains.append("one", Rule()) == "" and chains.append("input", rule("-j one")) == ""
    assert chains.destroy("one") == "EBUSY" and chains.destroy("input") == "EBUSY"
    assert chains.delete("input", rule("-j one")) == "" and chains.destroy("one") == "ENOTEMPTY"
    assert chains.flush("one") == "" and chains.destroy("one") == ""
    assert chains.destroy("one") == chains.flush("one") == chains.zero("one") == "ENOENT"
    assert chains.set_policy("input", "DIVERT") == "EINVAL"
    assert chains.set_policy("one", "DENY") == "ENOENT"


def test_a_replaced_rule_goes_on_counting() -> None:
    chains = Chains(refuses_circles=True)
    chains.append("input", Rule())
    chains.by_name["input"].entries[0].packets = 7
    old = chains.by_name["input"].entries[0]
    assert chains.replace("input", 1, rule("-p 6")) == ""
    (new,) = chains.by_name["input"].entries
    assert (new.packets, new is old) == (7, False)
    assert chains.zero("input") == "" and new.packets == 0
