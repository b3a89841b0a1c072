# SPDX-License-Identifier: GPL-2.0-only
"""The far hosts of a guest that runs in another terminal: `./inv ping` and `./inv send`."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.base import terminal
from harness.base.deadline import Deadline
from harness.base.errors import GuestError, TestsFailedError, UserError
from harness.guest import wiretap
from harness.guest.wiretap import Client, Seen
from harness.network import packets, pcapfile
from harness.network.addresses import LINKS, Link

# What a command line calls the two wires.
WIRES = dict(zip(("near", "far"), LINKS, strict=True))
_NAMES = {link.name: name for name, link in WIRES.items()}
# A guest that is well answers within milliseconds; a program in it may take longer.
_ANSWER_SECONDS = 1.0
_BARRIER_SECONDS = 10.0
# With --size as of ping(8): bytes behind the header of ICMP.
_LARGEST = 65507


def link_of(wire: str) -> Link:
    """The wire that a command line names. Raises UserError."""
    if wire not in WIRES:
        raise UserError(f"there is no wire {wire}", f"known: {', '.join(WIRES)}")
    return WIRES[wire]


def ping(address: str = "", *, wire: str = "near", count: int = 4, size: int = 56) -> None:
    """Send echo requests from the far host of a wire: to the guest, or through it to another.

    Prints as ping(8) does. Raises UserError for no address of IPv4, and if no guest is there;
    TestsFailedError if nothing answers.
    """
    link = link_of(wire)
    target = address or link.guest_ip
    try:
        ipaddress.IPv4Address(target)
    except ValueError:
        raise UserError(f"ping {target}: that is no address of IPv4", "as in: ./inv ping") from None
    if count < 1 or not 0 <= size <= _LARGEST:
        raise UserError(f"--count is 1 or more, --size up to {_LARGEST}")
    from scapy.layers.inet import ICMP, IP, fragment  # noqa: PLC0415 (it takes half a second)

    ident = os.getpid() & 0xFFFF
    took: list[float] = []
    with connected() as client:
        terminal.show(f"PING {target} from {link.host_ip} on {link.interface}: {size} bytes")
        for number in range(1, count + 1):
            echo = IP(src=link.host_ip, dst=target) / ICMP(id=ident, seq=number) / bytes(size)
            # An echo larger than Ethernet's 1500 bytes goes in fragments.
            for piece in fragment(echo, 1480):
                client.send(link.name, packets.encode(piece, link.host_mac, link.guest_mac))
            begin = time.monotonic()
            answer = _answer(client, link, ident, number)
            if answer is None:
                terminal.show(f"no answer to {number} within {_ANSWER_SECONDS:g} s")
                continue
            took.append((time.monotonic() - begin) * 1000)
            terminal.show(
                f"{answer.len} bytes from {answer.src}: icmp_seq={number} ttl={answer.ttl} "
                f"time={took[-1]:.1f} ms"
            )
    terminal.show(f"{count} sent, {len(took)} answered")
    if not took:
        raise TestsFailedError("")


def _answer(client: Client, link: Link, ident: int, number: int) -> Any:
    """The packet that answers, None if none comes in time; errors are shown."""
    from scapy.layers.inet import ICMP, IP  # noqa: PLC0415

    deadline = Deadline(_ANSWER_SECONDS, "an echo reply")
    for seen in client.frames(deadline):
        if isinstance(seen, int) or seen.sent or seen.wire != link.name:
            continue
        packet = packets.parse(seen.data)
        if ICMP not in packet:
            continue
        icmp = packet[ICMP]
        # Of a reply in fragments the first has the header.
        if icmp.type == 0 and (icmp.id, icmp.seq) == (ident, number):
            return packet[IP]
        if icmp.type in (3, 4, 5, 11, 12):
            terminal.show(f"from {packet[IP].src}: {icmp.summary()}")
    return None


def send(what: str, *, wire: str = "near", wait: float = 0.5) -> None:
    """Send the packets of a capture file, or of an expression of scapy's, from the far host of a
    wire; show what passes on both wires, until nothing has for `wait` seconds.

    Raises UserError for neither, and if no guest is there; GuestError if it takes no frame.
    """
    link = link_of(wire)
    frames = _frames(what, link)
    with connected() as client:
        for frame in frames:
            client.send(link.name, frame)
        number = client.barrier()
        for seen in client.frames(Deadline(_BARRIER_SECONDS, "the guest's answer")):
            if seen == number:
                break
            _show(seen)
        else:
            raise GuestError(
                f"the guest has not dealt with {len(frames)} packets in {_BARRIER_SECONDS:g} s",
                "see its console: ./inv console",
            )
        # What a program in the guest holds comes later.
        while (more := next(client.frames(Deadline(wait, "more")), None)) is not None:
            _show(more)


def _show(seen: Seen | int) -> None:
    if isinstance(seen, Seen):
        terminal.show(describe(seen))


def describe(seen: Seen) -> str:
    """One line: wire, direction, the packet."""
    name = _NAMES[seen.wire]
    way = f"{name} -> guest" if seen.sent else f"guest -> {name}"
    return f"{way:14}  {packets.parse(seen.data).summary()}"


def _frames(what: str, link: Link) -> list[bytes]:
    file = Path(what)
    if file.exists():
        return pcapfile.frames_for(file, link)
    import scapy.all  # noqa: PLC0415

    try:
        # The user's own words, on the user's own machine: as in a prompt.
        made = eval(what, dict(vars(scapy.all)))  # noqa: S307
        listed = list(made)
    except Exception as error:  # noqa: BLE001 (whatever is wrong with it is the user's)
        raise UserError(
            f"{what}: neither a file nor packets of scapy's: {error}",
            'as in: ./inv send \'IP(dst="192.0.2.1")/UDP(dport=9)/b"x"\'',
        ) from None
    for packet in listed:
        # Else scapy would ask this host's routes.
        if scapy.all.IP in packet and "src" not in packet[scapy.all.IP].fields:
            packet[scapy.all.IP].src = link.host_ip
    return [pcapfile.for_guest(packet, link, what) for packet in listed]


@contextmanager
def connected() -> Iterator[Client]:
    """The wires of the guest that was begun last. Raises UserError if there is none."""
    for place in wiretap.places():
        try:
            with wiretap.connected(place) as client:
                terminal.say(f"guest {place.variant}: {place.folder}")
                yield client
                return
        except (FileNotFoundError, ConnectionRefusedError):
            continue
    raise UserError(
        "there is no guest whose wires could be used",
        "start one in another terminal: ./inv shell --variant base",
    )
