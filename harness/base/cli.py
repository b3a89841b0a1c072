# SPDX-License-Identifier: GPL-2.0-only
"""invoke, with the exit statuses of harness.base.errors."""

from __future__ import annotations

import signal

from harness.base import streams

# Before anything that takes long to import: until a task begins, there is nothing to tidy up, and a
# traceback of an import tells nobody anything. `inv` has blocked Ctrl-C for the start of Python
# itself; one that came meanwhile takes effect here. A signal that is ignored (nohup) stays so.
if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    streams.settle()

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import ParamSpec, TypeVar

from invoke.exceptions import Exit, ParseError
from invoke.parser.context import ParserContext
from invoke.program import Program

from harness.base import background, errors, oserrors, terminal

P = ParamSpec("P")
R = TypeVar("R")

# With which a file system, not a fault of ours, refuses a folder: that of the checkout, say.
_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSALS = (errno.EROFS, errno.EACCES, errno.EPERM, *_FULL)

# What a terminal, a user or a job of CI ends a program with.
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ERROR = 2

# As a word behind --help: invoke's own options.
_INVOKE = "invoke"
# Tasks that may have words, and need not: each is a value of this option.
_WORDS = {
    **{"judge": "--name", "ping": "--address", "statements": "--name"},
    **{"test": "--path", "watch": "--path"},
}
# Options that have all words up to the next option.
_SEVERAL = ("--merge",)
_PATIENCE = b"ending already: guests are stopped, and what is known is written (at once: SIGQUIT)\n"


class _Parser(Program):
    """Ends with the user's status, not 1, when the command line cannot be parsed.

    `TASK --help` is `--help TASK`, also where the task wants a word and invoke would take the
    option for it.
    """

    def parse_tasks(self) -> None:
        if self.core.unparsed[1:] in (["--help"], ["-h"]):
            self.args.help.value = self.core.unparsed[0]
            self.core.unparsed = []
        self.core.unparsed = as_options(self.core.unparsed, self.collection.to_contexts())
        with _mistakes_named():
            super().parse_tasks()

    def parse_collection(self) -> None:
        # invoke would print its help before it has read what tasks there are.
        asked = self.args.help.value is True
        if asked:
            self.args.help.value = ""
        super().parse_collection()
        if asked:
            self.print_help()
            raise Exit

    def print_help(self) -> None:
        """The project's tasks; invoke's own options only where they are asked for."""
        terminal.show(
            f"Usage: {self.binary} TASK [--OPTION ...] [TASK ...]\n"
            f"       {self.binary} TASK --help        what it does, and its options\n"
            f"       {self.binary} --help {_INVOKE}      options of invoke itself\n"
        )
        self.list_tasks()

    def print_version(self) -> None:
        # Imported where it is asked for: with all that it imports, it takes a tenth of a start.
        from importlib.metadata import version  # noqa: PLC0415

        self.version = version("invoke")
        super().print_version()

    def list_flat(self) -> None:
        """The tasks in groups, each with an example."""
        # What reads data files is imported in 15 ms, which tasks do for themselves.
        from harness.base import taskgroups  # noqa: PLC0415

        pairs = dict(self._make_pairs(self.scoped_collection))
        for group in taskgroups.load():
            terminal.show(f"{group.title}, as by {group.example}\n")
            self.print_columns([(name, pairs[name]) for name in group.tasks])

    def parse_cleanup(self) -> None:
        if self.args.help.value == _INVOKE:
            super().print_help()
            raise Exit
        with _mistakes_named():
            super().parse_cleanup()


def as_options(words: Sequence[str], contexts: Iterable[ParserContext]) -> list[str]:
    """A command line as invoke can parse it (pure).

    invoke knows only words that a task wants. So those of a task that may have some, and need not,
    are the values of the option that is for them.
    """
    given = _each_named(words)
    if not given or given[0] not in _WORDS:
        return given
    task, option = given[0], _WORDS[given[0]]
    known = {context.name: context for context in contexts}
    tasks = {*known, *(alias for each in known.values() for alias in each.aliases)}
    turned, value = [task], False
    for word in given[1:]:
        if not (value or word.startswith("-")):
            # Another task, from here on; a file of such a name is told by its path: ./report.
            if word in tasks:
                return [*turned, *given[len(turned) :]]
            word = f"{option}={word}"  # noqa: PLW2901
            value = False
        else:
            flag = known[task].flags.get(word)
            value = not value and flag is not None and flag.takes_value
        turned.append(word)
    return turned


def _each_named(words: Sequence[str]) -> list[str]:
    """The words with each of the values of an option that takes several behind its name, as
    `--merge a --merge b` for `--merge a b`, which a shell makes of `--merge *` (pure).
    """
    told: list[str] = []
    option = ""
    for number, word in enumerate(words):
        if word == "--":
            return [*told, *words[number:]]
        if word.startswith("-"):
            option = word if word in _SEVERAL else ""
        elif option and told[-1] != option:
            told.append(option)
        told.append(word)
    return told


@contextmanager
def _mistakes_named() -> Iterator[None]:
    try:
        yield
    except ParseError as error:
        raise Exit(f"{error}\nsee: ./inv --list", errors.EXIT_USER) from error
    except ValueError as error:
        # int() of the value of an option; invoke does not say of which.
        value = str(error).rpartition(": ")[2]
        raise Exit(f"{value} is no number\nsee: ./inv --list", errors.EXIT_USER) from error


def remainder(words: Sequence[str]) -> list[str]:
    """The words behind `--` of a command line, as they were given; invoke joins them by blanks."""
    return list(words[words.index("--") + 1 :]) if "--" in words else []


def reports_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Let a task end with the message and the exit status of a HarnessError, not a traceback.

    SIGTERM and SIGHUP end it as tidily as Ctrl-C does.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        name = function.__name__.replace("_", "-")
        try:
            with _tidy_ending():
                result = function(*args, **kwargs)
                background.check()
                return result
        except errors.HarnessError as error:
            # A task that has printed a report has said it all.
            message = terminal.clean(f"{name}: {error}") if error.message else None
            raise Exit(message, error.exit_status) from None
        except OSError as error:
            if error.errno in oserrors.OF_NAMES:
                path = oserrors.shown(error.filename if isinstance(error.filename, str) else "")
                message = terminal.clean(f"{name}: {path}: {error.strerror}")
                raise Exit(f"{message}\ntake a shorter path", errors.EXIT_USER) from None
            # Of a full disk Python does not always know which file it was.
            known = isinstance(error.filename, str) or error.errno in _FULL
            if error.errno not in _REFUSALS or not known:
                raise
            from harness.base import store  # noqa: PLC0415 (only now: it takes long to import)

            raise Exit(f"{name}: {store.unwritten(error)}", errors.EXIT_INFRASTRUCTURE) from None
        except errors.EndedError as ended:
            raise Exit(f"ended by {ended.name}", errors.EXIT_SIGNAL + ended.number) from None
        except KeyboardInterrupt:
            raise Exit("interrupted", errors.EXIT_INTERRUPTED) from None

    return wrapper


def _raise_once() -> Callable[[int, FrameType | None], None]:
    """A handler that raises a KeyboardInterrupt for the first signal alone.

    What tidies up then, and writes the report, has a deadline for each of its waits. A second
    signal, of somebody who is impatient or of whoever sends two, would end that half-way.
    """
    came: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise KeyboardInterrupt if number == signal.SIGINT else errors.EndedError(number)
        if len(came) == 2:
            # Whatever was being printed when the signal came is not to be waited for.
            with contextlib.suppress(OSError):
                os.write(_ERROR, _PATIENCE)

    return handle


@contextmanager
def _tidy_ending() -> Iterator[None]:
    """While this lasts, the first signal of _ENDING, if not ignored, raises a KeyboardInterrupt."""
    before = {number: signal.getsignal(number) for number in _ENDING}
    caught = [number for number in _ENDING if before[number] is not signal.SIG_IGN]
    handle = _raise_once()
    for number in caught:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


def main() -> None:
    """Entry point of `./inv`."""
    background.watch_others()
    program = _Parser(name="invoke", binary="inv")
    ended = SystemExit(0)
    try:
        program.run(sys.argv)
    except SystemExit as status:
        ended = status
    except (errors.OutputError, errors.ReaderGoneError):
        # Out of invoke's own printing; told below.
        pass
    except errors.HarnessError as error:
        # Out of what is listed, whose data has groups.
        print(f"inv: {error}", file=sys.stderr)  # noqa: T201
        ended = SystemExit(error.exit_status)
    # Also what was last written may not have gone out, and a task may have gone on without it.
    if (failure := streams.finish()) is not None:
        if failure.exit_status != ended.code and failure.message:
            print(f"inv: {failure}", file=sys.stderr)  # noqa: T201
        ended = SystemExit(failure.exit_status)
    raise ended


if __name__ == "__main__":
    main()
