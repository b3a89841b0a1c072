# SPDX-License-Identifier: GPL-2.0-only
"""The same tests again, each time that a file changes which decides what they say.

Each run is a process of its own, so that what has changed in the harness is used, too.
"""

from __future__ import annotations

import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import watchfiles

from harness.base import background, checkout, paths, terminal
from harness.base.errors import EXIT_USER, EndedError, InfrastructureError, UserError

# As many names of what has changed are said.
_SHOWN = 3
# Of a run that was told to end: its guests have to be stopped, its report written.
_ENDING_SECONDS = 60.0

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Changes = queue.Queue[frozenset[Path]]


def watch(words: Sequence[str], root: Path | None = None) -> None:
    """Run `./inv test` with these words, and again after each change, until Ctrl-C.

    What changes while a run lasts is for the next one. Raises UserError if the first run is refused
    for its command line, InfrastructureError if the files cannot be watched, and KeyboardInterrupt,
    after the run that lasts has ended.
    """
    root = root or paths.ROOT
    command = [str(root / "inv"), "test", *words]
    with _changes(root) as changes:
        first = True
        while True:
            status = _run(command)
            if first and status == EXIT_USER:
                # It has said why.
                raise UserError("")
            first = False
            terminal.say(f"status {status}; waiting for a file to change (Ctrl-C ends this)")
            changed = _next(changes)
            terminal.say(f"{told(changed, root)}: again")


def told(changed: frozenset[Path], root: Path) -> str:
    """What has changed, in words (pure)."""
    names = sorted(path.relative_to(root).as_posix() for path in changed)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"changed: {', '.join(names[:_SHOWN])}{more}"


@contextmanager
def _changes(root: Path) -> Iterator[Changes]:
    """What changes below the folders and files that a verdict depends on, from now on."""
    names = (*checkout.TREES, *checkout.FILES)
    watched = [path for name in names if (path := root / name).exists()]
    changes: Changes = queue.Queue()
    begun, stop = threading.Event(), threading.Event()

    def look() -> None:
        # With a look at once that finds nothing, so that it is known when the watch has begun.
        for found in watchfiles.watch(
            *watched,
            watch_filter=watchfiles.DefaultFilter(),
            stop_event=stop,
            rust_timeout=100,
            yield_on_timeout=True,
            raise_interrupt=False,
        ):
            begun.set()
            if found:
                changes.put(frozenset(Path(name) for _, name in found))

    background.Background(look, name="watch of files", on_failure=begun.set)
    begun.wait()
    try:
        yield changes
    finally:
        stop.set()


def _next(changes: Changes) -> frozenset[Path]:
    """All that has changed since the last call, as soon as there is something."""
    while True:
        background.check()
        try:
            changed = changes.get(timeout=1.0)
            break
        except queue.Empty:
            continue
    while not changes.empty():
        changed |= changes.get_nowait()
    return changed


@contextmanager
def _signals_held() -> Iterator[None]:
    """What ends this takes effect when the context is left."""
    came: list[int] = []
    before = {int(number): signal.getsignal(number) for number in _ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def _run(command: Sequence[str]) -> int:
    """The exit status of a run, which ends by the signal that ends this."""
    process: subprocess.Popen[bytes] | None = None
    try:
        # One that came while it is started would leave it running, known to nobody.
        with _signals_held():
            # In a session of its own, a signal from the terminal reaches it once: by this process.
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        return process.wait()
    except OSError as error:
        raise InfrastructureError(f"cannot start {command[0]}: {error.strerror}") from error
    except KeyboardInterrupt as ended:
        if process is None:
            raise
        process.send_signal(ended.number if isinstance(ended, EndedError) else signal.SIGINT)
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
