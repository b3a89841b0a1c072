# SPDX-License-Identifier: GPL-2.0-only
"""A step in the words of the program `calls`: a line for each call that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.judge import ipfw
from harness.model.packet import Packet
from harness.model.rules import rule
from harness.model.steps import Step

# The first rule of these chains lets the connection to our programs pass, whatever rules follow.
GUARDED = ("input", "output")
_ADDRESS = slice(4, 8)  # of a sockaddr_in
# What needs no packet: the words of a step in a line of `calls`.
_CALLS = {
    "open": "socket {} inet raw divert",
    "bind": "bind {} in:0.0.0.0:{}",
    "close": "close {}",
    "small": "setsockopt {} socket rcvbuf int:1",
    "shut": "shutdown {} write",
    "read": "recvfrom {} 65535 dontwait",
    "peek": "recvfrom {} 65535 dontwait|peek",
}


def lines(
    step: Step, packets: Sequence[Packet], tag: bytes, count: Callable[[str], int]
) -> Iterator[str]:
    """The calls of a step, the first of which is the one that it is about; none: no call.

    `packets` are what it sends, `tag` the address of what it reinjects; `count` tells how many
    rules a guarded chain has.
    """
    words = step.words
    match step.verb:
        case "append" | "delete":
            change = ipfw.change(words[0], rule(" ".join(words[1:])))
            yield option(f"fw_{step.verb}", change)
        case "insert" | "replace":
            number = _number(words[0], words[1])
            given = ipfw.numbered(number, words[0], rule(" ".join(words[2:])))
            yield option(f"fw_{step.verb}", given)
        case "remove":
            number = _number(words[0], words[1])
            yield option("fw_delete_num", ipfw.of_number(number, words[0]))
        case "flush" if words[0] in GUARDED:
            # Without its guard for a moment only, a chain would count our own connection.
            for _ in range(count(words[0])):
                yield option("fw_delete_num", ipfw.of_number(2, words[0]))
        case "flush" | "zero":
            yield option(f"fw_{step.verb}", ipfw.label(words[0]))
        case "create" | "destroy":
            name = {"create": "fw_createchain", "destroy": "fw_deletechain"}[step.verb]
            yield option(name, ipfw.label(words[0]))
        case "policy":
            yield option("fw_policy", ipfw.policy(words[0], words[1]))
        case "check":
            given = ipfw.test_of(packets[0].data, words[1], words[0])
            yield option("fw_check", given)
        case "wire":
            pass
        case _:
            yield _call(step, packets, tag)


def _call(step: Step, packets: Sequence[Packet], tag: bytes) -> str:
    name, *words = step.words
    if step.verb in _CALLS:
        return _CALLS[step.verb].format(name, *words)
    packet = packets[0]
    data, to = packet.data.hex(), "none"
    match step.verb:
        case "send":
            return f"sendto sender hex:{packet.body[8:].hex()} in:{name}:{packet.ports[1]}"
        case "refuse":
            return f"sendto {name} {_refused(packet, words[0])} none dontwait"
        case "back":
            to = f"hex:{tag.hex()}"
        case "untag":
            to = f"hex:{_untagged(tag, words[1]).hex()}"
        case "inject" if words[0] != "none":
            to = f"in:{words[0]}:0"
    return f"sendto {name} hex:{data} {to} dontwait"


def option(name: str, value: bytes) -> str:
    """The call that sets an option of the firewall."""
    return f"setsockopt fw ip {name} hex:{value.hex()}"


def _number(chain: str, number: str) -> int:
    return int(number) + (chain in GUARDED)


def _untagged(address: bytes, how: str) -> bytes:
    if how == "flipped":
        return address[:-1] + bytes([address[-1] ^ 1])
    family, interface = address[:2], address[_ADDRESS]
    if how == "outbound":
        interface = bytes(4)
    return family + bytes(2) + interface + bytes(8)


def _refused(packet: Packet, why: str) -> str:
    data = packet.data
    match why:
        case "short":
            data = data[:19]
        case "version":
            data = b"\x65" + data[1:]
        case "header":
            data = b"\x4f" + data[1:28]
        case "beyond":
            return f"fill:65536:{data[:20].hex()}"
    return f"hex:{data.hex()}"
