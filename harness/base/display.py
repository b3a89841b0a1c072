# SPDX-License-Identifier: GPL-2.0-only
"""What goes on at this moment: on a terminal as lines that change, elsewhere a line a minute."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from harness.base.background import Background

# Lines that say what goes on, without control characters: all of them where there is room (True),
# else those of what runs just now. Any thread may ask for them.
Lines = Callable[[bool], list[str]]

REFRESH_SECONDS = 0.5
REPORT_SECONDS = 60.0
# Of the terminal's height; what has been said stays above.
_SHARE = 0.6


class Display:
    """Shows what any thread says that it does, while at least one of them does something.

    It has a thread of its own that looks every now and then. It is told nothing, and asks: who does
    something is not slowed down by being watched.
    """

    def __init__(self, console: Console, *, live: bool, seconds: float = 0.0) -> None:
        """`live`: whether lines can be changed after they were shown; `seconds`: how often."""
        self.live = live
        self._console = console
        self._seconds = seconds or (REFRESH_SECONDS if live else REPORT_SECONDS)
        # Held by whoever writes to the console: where a changing line is, depends on all writing.
        self._lock = threading.RLock()
        self._shown: list[Lines] = []
        self._view: Live | None = None
        self._ended = threading.Event()

    def print(self, what: RenderableType) -> None:
        """Print something that stays, above what changes; no line of it is broken."""
        with self._lock:
            self._console.print(what, soft_wrap=True)

    @contextmanager
    def showing(self, lines: Lines) -> Iterator[None]:
        """Show what `lines` returns, while this lasts."""
        with self._lock:
            self._shown.append(lines)
            if len(self._shown) == 1:
                self._begin()
        try:
            yield
        finally:
            with self._lock:
                self._shown.remove(lines)
                if not self._shown:
                    self._end()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to something else."""
        with self._lock:
            if self._shown:
                self._end()
            try:
                yield
            finally:
                if self._shown:
                    self._begin()

    def _begin(self) -> None:
        if self.live:
            self._view = Live(
                get_renderable=self._render,
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._view.start()
            # Then there is no way to end this program that leaves a terminal without one.
            self._console.show_cursor(True)
        self._ended = threading.Event()
        Background(functools.partial(self._look, self._ended), name="display")

    def _end(self) -> None:
        self._ended.set()
        if self._view is not None:
            view, self._view = self._view, None
            view.stop()

    def _look(self, ended: threading.Event) -> None:
        """What the thread does until it is told that its time is over."""
        while not ended.wait(self._seconds):
            with self._lock:
                if ended.is_set():
                    return
                if self._view is not None:
                    self._view.refresh()
                    continue
                for line in self._lines(all_of_them=False):
                    self.print(Text(line))

    def _lines(self, *, all_of_them: bool) -> list[str]:
        return [line for lines in self._shown for line in lines(all_of_them)]

    def _render(self) -> Text:
        room = max(3, int(self._console.height * _SHARE))
        found = self._lines(all_of_them=True)
        if len(found) > room:
            found = self._lines(all_of_them=False)
        if len(found) > room:
            found = [*found[: room - 1], f"... and {len(found) - room + 1} more"]
        return Text("\n".join(found), no_wrap=True, overflow="ellipsis")


@dataclass
class Activity:
    """Something that takes time: a build, a download, a wait for another process."""

    title: str
    detail: str = ""
    begun: float = field(default_factory=time.monotonic)

    def lines(self, _all_of_them: bool) -> list[str]:
        """As the display wants it."""
        detail = f", {self.detail}" if self.detail else ""
        return [f"{self.title}{detail}, {clock(time.monotonic() - self.begun)}"]


def clock(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
