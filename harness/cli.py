# SPDX-License-Identifier: GPL-2.0-only
"""invoke, with the exit statuses of harness.errors."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import ParamSpec, TypeVar

from invoke.exceptions import Exit, ParseError
from invoke.program import Program

from harness import errors

P = ParamSpec("P")
R = TypeVar("R")


class _Parser(Program):
    """Ends with the user's status, not 1, when the command line cannot be parsed."""

    def parse_tasks(self) -> None:
        try:
            super().parse_tasks()
        except ParseError as error:
            raise Exit(f"{error}\nsee: ./inv --list", errors.EXIT_USER) from error


def reports_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Let a task end with the message and the exit status of a HarnessError, not a traceback."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except errors.HarnessError as error:
            name = function.__name__.replace("_", "-")
            # A task that has printed a report has said it all.
            message = f"{name}: {error}" if error.message else None
            raise Exit(message, error.exit_status) from None
        except KeyboardInterrupt:
            raise Exit("interrupted", errors.EXIT_INTERRUPTED) from None

    return wrapper


def main() -> None:
    """Entry point of `./inv`."""
    _Parser(version=version("invoke"), name="invoke", binary="inv").run(sys.argv)


if __name__ == "__main__":
    main()
