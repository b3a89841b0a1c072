# SPDX-License-Identifier: GPL-2.0-only
"""The guest's own programs: one that sends, those that receive, and what errors they are told."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence

from harness.base.errors import GuestError
from harness.guest.calls import Answer, Script
from harness.judge.seen import Seen
from harness.model.packet import ICMP, OTHER, UDP
from harness.model.steps import RECEIVERS
from harness.model.ways import OPEN_PORTS, SENDER_PORT

SENDER = "sender"
_ALL = (SENDER, *RECEIVERS)
# The kind of socket of each that receives, its protocol, and its port.
_RECEIVING = {
    **{f"udp-{port}": ("dgram", UDP, port) for port in OPEN_PORTS},
    **{f"raw-{protocol}": ("raw", protocol, 0) for protocol in (OTHER, ICMP)},
}
# Each is read so often at once, and again until there is no more.
_READS = 2
# No step sends a hundred packets.
_MOST_LOOKS = 100
_TELL = [f"recvmsg {name} 65535 errqueue|dontwait" for name in _ALL]
_RECEIVE = [f"recvfrom {name} 65535 dontwait" for name in RECEIVERS for _ in range(_READS)]
# What answers a look. Errors come first: one that is pending would be the answer to a read.
LOOKING = (*_TELL, *_RECEIVE)
_ADDRESS = slice(4, 8)  # of a sockaddr_in
# struct sock_extended_err (errno, origin, type, code, info, data) and the address behind it.
_EXTENDED = struct.Struct("=I3BxII")
_ADDRESS_BYTES = 16
_FROM_ICMP = 2


def set_up(script: Script, where: str) -> None:
    """Open their sockets. Raises GuestError, naming `where`, if the guest refuses."""
    lines = [
        f"socket {SENDER} inet dgram {UDP}",
        f"bind {SENDER} in:0.0.0.0:{SENDER_PORT}",
        # Else a kernel of today says that its datagrams are not to be cut, and 2.2.12 not.
        f"setsockopt {SENDER} ip mtu_discover int:0",
    ]
    for name, (kind, protocol, port) in _RECEIVING.items():
        lines += [f"socket {name} inet {kind} {protocol}", f"bind {name} in:0.0.0.0:{port}"]
    # Who does not ask for errors is told them by 2.2.12 all the same, as the answer to what it does
    # next, and by a kernel of today never (differences.toml: unasked-errors).
    lines += [f"setsockopt {name} ip recverr int:1" for name in _ALL]
    for answer in script.many(lines):
        if answer["result"] < 0:
            raise GuestError(f"{where}: the programs cannot be set up: {answer}")


def take(script: Script, seen: Seen, answers: Sequence[Answer], where: str) -> None:
    """What they were told and have received, all of it, into `seen`.

    `answers` are those to LOOKING; where there may be more, `script` is asked again. Raises
    GuestError, naming `where`, if that has no end.
    """
    for _ in range(_MOST_LOOKS):
        if not _taken(seen, answers):
            return
        answers = script.many(LOOKING)
    raise GuestError(f"{where}: the programs are told, or receive, more and more: {seen.told}")


def _taken(seen: Seen, answers: Sequence[Answer]) -> bool:
    """Take this in; whether there may be more: all that was asked of a program was answered."""
    told = answers[: len(_TELL)]
    received = answers[len(_TELL) :]
    more = False
    for answer in told:
        if answer["result"] >= 0:
            seen.told.setdefault(answer["socket"], []).append(_error(answer))
            more = True
        else:
            more |= _failed(seen, answer)
    for at in range(0, len(received), _READS):
        reads = received[at : at + _READS]
        for answer in reads:
            if answer["result"] >= 0:
                seen.received.setdefault(answer["socket"], []).append(_received(answer))
            else:
                more |= _failed(seen, answer)
        more |= all(answer["result"] >= 0 for answer in reads)
    return more


def _failed(seen: Seen, answer: Answer) -> bool:
    """Whether a read had another answer than that there is nothing; it is noted then."""
    if answer["error"] == "EAGAIN":
        return False
    seen.told.setdefault(answer["socket"], []).append(f"{answer['call']}: {answer['error']}")
    return True


def _error(answer: Answer) -> str:
    """An error of the queue of IP_RECVERR, in words: what said so, and who."""
    control = bytes.fromhex(answer["control"])[-_EXTENDED.size - _ADDRESS_BYTES :]
    number, origin, kind, code, info, _ = _EXTENDED.unpack_from(control)
    name = errno.errorcode.get(number, str(number))
    if origin != _FROM_ICMP:
        return f"{name} (origin {origin}, {info})"
    offender = socket.inet_ntoa(control[_EXTENDED.size :][_ADDRESS])
    return f"{name} (ICMP {kind}/{code} from {offender})"


def _received(answer: Answer) -> bytes:
    """What a receiver was given; of UDP with its sender's address and port in front."""
    data = bytes.fromhex(answer["hex"])
    if not str(answer["socket"]).startswith("udp"):
        return data
    sender = bytes.fromhex(answer["from"]["hex"])
    return sender[_ADDRESS] + sender[2:4] + data
