# SPDX-License-Identifier: GPL-2.0-only
"""Runs the sessions of several variants at once, and passes on their events as they come."""

from __future__ import annotations

import selectors
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.base.deadline import Deadline
from harness.record import stream
from harness.record.events import Event
from harness.run.worker import ORDERLY_SECONDS, Worker, WorkerSpec

# Longer than any one test may take, its boot and the build of two more kernels (O2) on a busy host
# included. Whatever waits in a session has a shorter deadline of its own, which says for what.
SILENCE_SECONDS = 900.0
# What pytest says last is why it gave up.
TAIL_LINES = 5

OnEvent = Callable[[Event], None]
OnTrouble = Callable[[WorkerSpec, str], None]


def run(
    specs: Iterable[WorkerSpec],
    tests: Path,
    expression: str,
    *,
    jobs: int,
    on_event: OnEvent,
    on_trouble: OnTrouble,
    silence: float = SILENCE_SECONDS,
) -> None:
    """Run a session for each of `specs`, `jobs` at once, until the last has ended.

    The next of `specs` is asked for when it can start, so that they can be built meanwhile.
    A session that says nothing for `silence` seconds is ended. Whatever ends this function, Ctrl-C
    included, no session outlives it, and what they said last is still passed on.
    """
    waiting = iter(specs)
    running: dict[int, tuple[Worker, Deadline]] = {}
    with selectors.DefaultSelector() as selector:
        try:
            while True:
                while len(running) < jobs and (spec := next(waiting, None)) is not None:
                    worker = Worker(spec, tests, expression)
                    selector.register(worker.pipe, selectors.EVENT_READ)
                    running[worker.pipe] = (worker, _quiet(silence))
                if not running:
                    break
                patience = min(deadline.remaining for _, deadline in running.values())
                ready = [key.fd for key, _ in selector.select(patience)]
                for pipe in ready:
                    worker, _ = running[pipe]
                    if _pass_on(worker, on_event, on_trouble):
                        running[pipe] = (worker, _quiet(silence))
                    else:
                        _finish(running.pop(pipe)[0], selector, on_trouble)
                for pipe in [pipe for pipe, (_, quiet) in running.items() if quiet.expired]:
                    worker, _ = running.pop(pipe)
                    selector.unregister(pipe)
                    on_trouble(worker.spec, f"said nothing for {silence:g} s, and was ended")
                    worker.interrupt()
                    _hear_out(worker, on_event, on_trouble)
        finally:
            for worker, _ in running.values():
                worker.interrupt()
            for worker, _ in running.values():
                _hear_out(worker, on_event, on_trouble)


def _quiet(silence: float) -> Deadline:
    return Deadline(silence, "word of the session")


def _pass_on(worker: Worker, on_event: OnEvent, on_trouble: OnTrouble) -> bool:
    lines = worker.lines()
    for line in lines or []:
        try:
            event = stream.from_line(line)
        except ValueError as error:
            on_trouble(worker.spec, f"wrote a line that is no event: {error}")
        else:
            on_event(event)
    return lines is not None


def _finish(worker: Worker, selector: selectors.BaseSelector, on_trouble: OnTrouble) -> None:
    selector.unregister(worker.pipe)
    status = worker.end()
    if status not in (0, 1):
        said = worker.log.read_text(errors="replace").strip().splitlines()[-TAIL_LINES:]
        lines = "".join(f"\n  {line}" for line in said)
        on_trouble(worker.spec, f"{_how(status)}:{lines}\nits output: {worker.log}")


def _how(status: int) -> str:
    """How a session ended, of which `status` is subprocess's."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was killed by {signal.Signals(-status).name}"


def _hear_out(worker: Worker, on_event: OnEvent, on_trouble: OnTrouble) -> None:
    deadline = Deadline(ORDERLY_SECONDS, "end of the session")
    with selectors.DefaultSelector() as selector:
        selector.register(worker.pipe, selectors.EVENT_READ)
        while selector.select(deadline.remaining) and _pass_on(worker, on_event, on_trouble):
            pass
    worker.end()
