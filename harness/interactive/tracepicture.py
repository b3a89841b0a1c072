# SPDX-License-Identifier: GPL-2.0-only
"""The way of a packet as text for a terminal, and as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from harness.guest.wiretap import Seen
from harness.interactive import way
from harness.interactive.farhosts import describe
from harness.interactive.way import HOOKS, Passed, Port

if TYPE_CHECKING:
    from harness.interactive.trace import Journey

# For a terminal: by how much a row is to the right, and whether it names its place.
_TEXT = {
    "wire": ("  ", False),
    "chain": ("    ", True),
    "user": ("      ", True),
    "port": ("      -> ", True),
    "change": ("      ", False),
    "end": ("  ", False),
}
# Pixels, of a font of which a letter is 7.2 wide.
_LINE, _WIDTH, _LETTER = 18, 940, 7.2


@dataclass(frozen=True)
class Row:
    """One line of a picture: what kind of place, its name, and what happened there."""

    kind: str
    place: str
    words: str


def rows(journey: Journey) -> list[Row]:
    """The way from the wire to the wire (pure)."""
    found = [Row("wire", "", describe(journey.sent))]
    ports = dict(journey.way.ports)
    for passed in journey.way.chains:
        found += _chain(passed, ports)
    found += [Row("port", f"port {number}", _port(port)) for number, port in ports.items()]
    if journey.way.nobody:
        found.append(Row("port", "nobody", f"no program waits: {_packets(journey.way.nobody)}"))
    for each in journey.seen:
        if each is journey.sent:
            continue
        found.append(Row("wire", "", describe(each)))
        if not each.sent:
            found += [Row("change", "", line) for line in _changed(journey.sent, each)]
    if not journey.left:
        found.append(Row("end", "", "nothing leaves the guest"))
    return found


def _chain(passed: Passed, ports: dict[int, Port]) -> Iterator[Row]:
    """What a chain did; divert ports are taken from `ports` where the rule for them is."""
    own = passed.chain in HOOKS
    kind = "chain" if own else "user"
    for each in passed.matched:
        words = f"rule {each.number}: {each.rule.words}{_times(each.times)}"
        yield Row(kind, passed.chain, words)
        if each.inside is not None:
            yield from _chain(each.inside, ports)
        if each.rule.port in ports:
            yield Row("port", f"port {each.rule.port}", _port(ports.pop(each.rule.port)))
    if passed.by_policy:
        # A chain of the user's counts there those that its rules did not decide.
        words = f"policy {passed.policy}" if own else "back to where it was called"
        yield Row(kind, passed.chain, f"{words}{_times(passed.by_policy)}")


def _times(count: int) -> str:
    return "" if count == 1 else f"  ({count} times)"


def _port(port: Port) -> str:
    told = []
    if port.delivered:
        told.append(f"the program reads {_packets(port.delivered)}")
    if port.queued:
        told.append(f"{_packets(port.queued)} waiting to be read")
    if port.dropped:
        told.append(f"{_packets(port.dropped)} dropped, for its queue is full")
    if port.injected:
        told.append(f"{_packets(port.injected)} reinjected")
    elif port.delivered:
        told.append("none reinjected")
    return ", ".join(told)


def _packets(count: int) -> str:
    return f"{count} packet{'' if count == 1 else 's'}"


def _changed(sent: Seen, left: Seen) -> list[str]:
    """How a packet that left differs from the one sent, if it is that one."""
    before, after = _ip(sent.data), _ip(left.data)
    # Another identification or protocol: the guest's own, as an answer.
    if before[4:6] != after[4:6] or before[9] != after[9] or sent.wire == left.wire:
        return []
    return way.changes(before, after)


def _ip(frame: bytes) -> bytes:
    return frame[14 : 14 + int.from_bytes(frame[16:18], "big")]


def text(number: int, journey: Journey) -> str:
    """For a terminal: a line a row, the places in a column of their own."""
    lines = [f"packet {number}"]
    before = ""
    for row in rows(journey):
        place = row.place if row.place != before else ""
        before = row.place
        indent, named = _TEXT[row.kind]
        lines.append(f"{indent}{f'{place:12}' if named else ''}{row.words}")
    return "\n".join([*lines, ""])


def svg(journeys: Sequence[Journey], title: str) -> str:
    """All of them below each other, in light and dark."""
    parts, height = [], _LINE
    for number, journey in enumerate(journeys, 1):
        parts.append(_text(12, height + 12, f"packet {number}", "head"))
        height += _LINE + 6
        begin, before = height, ""
        for row in rows(journey):
            height = _row(parts, row, height, row.place != before)
            before = row.place
        parts.append(f'<path class="way" d="M20 {begin + 4}V{height - 6}"/>')
        height += _LINE
    return _FRAME.format(width=_WIDTH, height=height, title=escape(title), body="\n".join(parts))


def _row(parts: list[str], row: Row, top: int, named: bool) -> int:
    indent = {"wire": 34, "chain": 34, "user": 60, "port": 60, "change": 60, "end": 34}[row.kind]
    if row.kind in ("chain", "user", "port"):
        parts.append(
            f'<rect class="{row.kind}" x="{indent}" y="{top}" width="{_WIDTH - indent - 12}" '
            f'height="{_LINE}"/>'
        )
        if named:
            parts.append(_text(indent + 8, top + 13, row.place, "place"))
        parts.append(_text(indent + 90, top + 13, row.words))
    else:
        parts.append(_text(indent + 8, top + 13, row.words, row.kind))
    if row.kind == "wire":
        parts.append(f'<circle class="stop" cx="20" cy="{top + 9}" r="5"/>')
    return top + _LINE + 4


def _text(x: float, y: float, words: str, kind: str = "words") -> str:
    room = int((_WIDTH - x - 16) / _LETTER)
    short = words if len(words) <= room else f"{words[: room - 3]}..."
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(short)}</text>'


_FRAME = """<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" \
width="{width}" height="{height}">
<title>{title}</title>
<style>
text {{ font: 12px monospace; fill: #1c1c1c; white-space: pre }}
.head {{ font-weight: bold; font-size: 14px }}
.place, .wire {{ font-weight: bold }}
.change {{ fill: #9a4a00 }}
.end {{ fill: #b00020; font-weight: bold }}
rect {{ rx: 4; fill: #eef2f7; stroke: #8a99ad }}
.user {{ fill: #f7f3e8 }}
.port {{ fill: #e3f3e3; stroke: #4d8a4d }}
.way {{ stroke: #5a6b80; stroke-width: 2; fill: none }}
.stop {{ fill: #5a6b80 }}
@media (prefers-color-scheme: dark) {{
svg {{ background: #14171b }}
text {{ fill: #e6e6e6 }}
.change {{ fill: #ffb870 }}
.end {{ fill: #ff8a9a }}
rect {{ fill: #222a35; stroke: #55657a }}
.user {{ fill: #2e2a1f }}
.port {{ fill: #1c2f1f; stroke: #5f9f63 }}
.way {{ stroke: #93a5bd }}
.stop {{ fill: #93a5bd }}
}}
</style>
{body}
</svg>
"""
