# SPDX-License-Identifier: GPL-2.0-only
"""What the person at the terminal sees: progress on standard error, tables on standard output.

All text that is shown is made here, so that all of it is shown as it is: nothing in it is markup,
and none of its control characters reaches the terminal.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TypeAlias

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from harness.base.display import Activity, Display, Lines

# What can be shown; and text that `text` has made, whatever its style.
Shown: TypeAlias = RenderableType
Styled: TypeAlias = Text

# More than any line of ours, in columns.
_ANY = 10_000
# A column of text that has less room than this is not broken: the terminal breaks whole lines.
_LEAST = 24

# C0 and C1, of which a terminal takes orders, and what turns the order of letters around.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    r"""The text with control characters spelled out, as `\x1b`; but for newlines and tabs."""
    unix = text.replace("\r\n", "\n")
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], unix)


def console(
    stream: IO[str] | None = None, *, width: int | None = None, stderr: bool = False
) -> Console:
    """A console, which takes no text for anything but text, on a stream or on this process's."""
    return Console(
        file=stream, width=width, highlight=False, markup=False, emoji=False, stderr=stderr
    )


def _is_terminal(stream: IO[str] | None) -> bool:
    return stream is not None and stream.isatty()


def _can_move() -> bool:
    return err.is_interactive and os.environ.get("TERM", "") != ""


# Wide when not a terminal, so that a log of CI is not cut at 80 columns.
out = console(width=None if _is_terminal(sys.stdout) else 120)
err = console(width=None if _is_terminal(sys.stderr) else 120, stderr=True)
_display = Display(err, live=_is_terminal(sys.stderr) and _can_move())


def text(*pieces: str | tuple[str, str], style: str = "") -> Styled:
    """Text to be shown as it is; a piece can have a style of its own: (text, style)."""
    made = Text(style=style)
    for piece in pieces:
        string, own = (piece, "") if isinstance(piece, str) else piece
        made.append(clean(string), style=own)
    return made


def group(*parts: Shown) -> Shown:
    """One after the other."""
    return Group(*(text(part) if isinstance(part, str) else part for part in parts))


class Grid:
    """A table. Each of its rows is one line, however long, where that does not go to a terminal.

    On a terminal the columns `folded` are broken to fit its width, if that leaves them some room.
    """

    def __init__(
        self,
        *headings: str,
        right: Iterable[str] = (),
        folded: Iterable[str] = (),
        show_header: bool = True,
    ) -> None:
        self._table = Table(box=None, pad_edge=False, header_style="bold", show_header=show_header)
        right, folded = set(right), set(folded)
        for heading in headings:
            self._table.add_column(
                text(heading),
                justify="right" if heading in right else "left",
                no_wrap=heading not in folded,
                overflow="fold",
            )

    @property
    def columns(self) -> list[list[str]]:
        """What is in each of its columns, from above."""
        return [list(map(str, column.cells)) for column in self._table.columns]

    def row(self, *cells: str | Styled) -> None:
        """Add a row; a cell that is no plain text is one of `text`."""
        self._table.add_row(*(text(cell) if isinstance(cell, str) else cell for cell in cells))

    def __rich_console__(self, shown_on: Console, options: ConsoleOptions) -> RenderResult:
        width = Measurement.get(shown_on, options.update(width=_ANY), self._table).maximum
        if _is_terminal(shown_on.file) and shown_on.width >= self._unbroken() + _LEAST:
            width = min(width, shown_on.width)
        given = options.update(width=width, height=None, no_wrap=False, overflow="fold")
        for line in shown_on.render_lines(self._table, given, pad=False):
            yield Segments([*_without_trailing_space(line), Segment.line()])

    def _unbroken(self) -> int:
        """How wide the columns are that are not folded; more than any terminal, if all are."""
        kept = [column for column in self._table.columns if column.no_wrap]
        if len(kept) == len(self._table.columns):
            return _ANY
        longest = [
            max(cell_len(str(cell)) for cell in (column.header, *column.cells)) for column in kept
        ]
        return sum(longest) + 2 * len(longest)


def _without_trailing_space(line: list[Segment]) -> list[Segment]:
    while line and not line[-1].text.strip():
        line = line[:-1]
    if line:
        line = [*line[:-1], Segment(line[-1].text.rstrip(), line[-1].style)]
    return line


def say(message: str) -> None:
    """One line of progress on standard error, printed as it is."""
    _display.print(text(message))


def show(what: Shown = "") -> None:
    """Print on standard output, without breaking a line of text.

    Command lines and paths are there to be copied.
    """
    with _display.paused():
        print_whole(out, what)


def show_json(value: object) -> None:
    """Print on standard output what --json asks for."""
    show(json.dumps(value, indent=1))


def print_whole(shown_on: Console, what: Shown) -> None:
    """Print on a console as `show` does."""
    shown_on.print(text(what) if isinstance(what, str) else what, soft_wrap=True)


def write(stream: IO[str], what: Shown) -> None:
    """Write into a file what `show` prints."""
    print_whole(console(stream, width=160), what)


@contextmanager
def activity(title: str, *, said: bool = True) -> Iterator[Activity]:
    """Something that takes time, shown while it lasts: on a terminal live, else once a minute.

    Where it is not seen at once, a line says that it begins, unless it is one of many (`said`).
    Any thread may have one.
    """
    doing = Activity(clean(title))
    if said and not _display.live:
        say(title)
    with _display.showing(doing.lines):
        yield doing


def showing(lines: Lines) -> AbstractContextManager[None]:
    """Show what `lines` returns, by itself `clean`, as `activity` shows its line."""
    return _display.showing(lines)
