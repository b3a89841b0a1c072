# SPDX-License-Identifier: GPL-2.0-only
"""What the person at the terminal sees: progress on standard error, tables on standard output."""

from __future__ import annotations

import sys

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table

# More than any line of ours, in columns.
_ANY = 10_000

# Wide when not a terminal, so that a log of CI is not cut at 80 columns.
_width = None if sys.stdout.isatty() else 120
out = Console(width=_width, highlight=False)
err = Console(width=_width, highlight=False, stderr=True)


def say(message: str) -> None:
    """One line of progress on standard error, printed as it is."""
    err.print(message, markup=False, soft_wrap=True)


def show(what: RenderableType = "") -> None:
    """Print on standard output, without breaking a line of text or a cell of the table `what`.

    Command lines and paths are there to be copied.
    """
    print_whole(out, what)


def print_whole(console: Console, what: RenderableType) -> None:
    """Print on `console` as `show` does. A table inside a group keeps to the console's width."""
    if isinstance(what, Table):
        what.width = Measurement.get(console, console.options.update(width=_ANY), what).maximum
    console.print(what, markup=not isinstance(what, str), soft_wrap=True)
