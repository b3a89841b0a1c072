# SPDX-License-Identifier: GPL-2.0-only
"""What the person at the terminal sees: progress on standard error, tables on standard output."""

from __future__ import annotations

import sys

from rich.console import Console

# Wide when not a terminal, so that a log of CI is not cut at 80 columns.
_width = None if sys.stdout.isatty() else 120
out = Console(width=_width, highlight=False)
err = Console(width=_width, highlight=False, stderr=True)


def say(message: str) -> None:
    """One line of progress on standard error, printed as it is."""
    err.print(message, markup=False, soft_wrap=True)
