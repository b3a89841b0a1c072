# SPDX-License-Identifier: GPL-2.0-only
"""Where a fault is made: a copy of the checkout, with a cache of its own, to be spoilt at will."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.base import digests, paths
from harness.base.background import Later
from harness.base.deadline import Deadline
from harness.canaries import mirror

TEST = "tests/guest/test_canary.py"
_HEADER = """\
import os, signal, sys, time
import pytest
from harness.base.errors import DeadlineError, GuestError
from harness.canaries.guestside import *
S1 = pytest.mark.statement("S1/opens")
"""

# A job in the background has signals ignored, and would pass that on. The shell between, since env
# takes a path with = in it for a variable.
_FOREGROUND = ("env", "--default-signal=INT,TERM,HUP", "sh", "-c", 'exec "$0" "$@"')

# What is done when a line of output matches.
Action = Callable[[subprocess.Popen[bytes]], None]


@dataclass(frozen=True)
class Ran:
    """A command that was run: all that the user reads; `status` is None if it had to be ended."""

    output: str
    status: int | None
    seconds: float


class Stage:
    """A copy of the checkout, in which `./inv` can be run; `restore` makes it what it was.

    The cache is one of links to what is built in the user's: what is built here stays here, and
    what is to be changed is to be had by `own`.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        """In `folder`, not there yet; `cache` is on the disk of the user's cache, and has no
        characters that cannot be built under.
        """
        self._folder = folder
        self.root = folder / "checkout"
        self.bin = folder / "bin"
        self.cache = cache
        self.environment: dict[str, str] = {}
        self._actions: list[tuple[re.Pattern[str], Action]] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False
        self.root.mkdir(parents=True)
        (self.root / ".venv").symlink_to(paths.ROOT / ".venv")
        self.restore()
        mirror.take_compiled(paths.ROOT, self.root)

    def restore(self) -> None:
        """Put checkout and cache back, whatever was done to them, and forget what was run here."""
        self.move(Path())
        self.environment.clear()
        self._actions.clear()
        shutil.rmtree(self.bin, ignore_errors=True)
        self.bin.mkdir()
        wanted = {path.relative_to(paths.ROOT): path for path in mirror.files(paths.ROOT)}
        for path in mirror.files(self.root):
            if path.relative_to(self.root) not in wanted:
                path.unlink()
        for name, path in wanted.items():
            mirror.copy(path, self.root / name)
        mirror.take_built(paths.ROOT / "build", self.root / "build")
        mirror.link_cache(paths.cache_dir(), self.cache)

    # What faults are made of.

    def write(self, name: str, text: str) -> Path:
        """A file of the checkout, new or instead of the one that is there."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        return path

    def append(self, name: str, text: str) -> None:
        """Text at the end of a file that is there: what a module defines can be defined anew."""
        self.write(name, f"{(self.root / name).read_text()}\n{text}\n")

    def replace(self, name: str, old: str, new: str) -> None:
        """Other text in a file, which has to be there exactly once."""
        text = (self.root / name).read_text()
        if text.count(old) != 1:
            raise AssertionError(f"{name} has {text.count(old)} times {old!r}: mend faults.py")
        self.write(name, text.replace(old, new))

    def test(self, text: str, *, alone: bool = False) -> None:
        """Guest tests, each to be marked with a statement, such as @S1; `alone`: of the others none
        is even read, which takes longer than to run one.
        """
        self.write(TEST, f"{_HEADER}\n{text}")
        if alone:
            self.append("tests/guest/conftest.py", 'collect_ignore_glob = ["*_*/*"]')

    def program(self, name: str, script: str) -> None:
        """A program of the shell's that is found before that of the host; $REAL is the host's."""
        path = self.bin / name
        real = shutil.which(name) or "/nonexistent"
        path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
        path.chmod(0o755)

    def own(self, kind: str, fingerprint: str) -> Path:
        """An entry of the cache, as a copy that can be changed."""
        link = self.cache / kind / fingerprint
        for each, copy in ((link, _copy_tree), (digests.beside(link), shutil.copy2)):
            if each.is_symlink():
                target = each.resolve()
                each.unlink()
                copy(target, each)
        return link

    def when(self, pattern: str, action: Action) -> None:
        """Do something with the command, once, when a line of what it says matches."""
        self._actions.append((re.compile(pattern), action))

    def send(self, name: str, pattern: str) -> None:
        """Send the command a signal (`TERM`), once, when a line of what it says matches."""
        number = signal.Signals[f"SIG{name}"]
        self.when(pattern, lambda process: process.send_signal(number))

    def move(self, below: Path) -> None:
        """Move the checkout into a folder below its own, which is not there yet."""
        home = self._folder / below / "checkout"
        if home != self.root:
            home.parent.mkdir(parents=True, exist_ok=True)
            self.root = self.root.rename(home)

    # What is run.

    def run(self, words: Sequence[str], seconds: float) -> Ran:
        """Run `./inv` with `words`. What is still running after `seconds` is killed."""
        deadline = Deadline(seconds, "end of the canary's command")
        if self._ended:
            raise KeyboardInterrupt
        process = subprocess.Popen(
            [*_FOREGROUND, str(self.root / "inv"), *words],
            cwd=self.root,
            env=self._env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self.end()

        timer = Later(seconds, give_up, name="deadline of a canary")
        try:
            lines = []
            assert process.stdout is not None
            for data in process.stdout:
                line = data.decode(errors="replace")
                lines.append(line)
                self._look(line, process)
            status: int | None = process.wait()
        finally:
            timer.cancel()
            _kill(process)
        taken = seconds - deadline.remaining
        return Ran("".join(lines), None if late.is_set() else status, taken)

    def end(self, *, for_good: bool = False) -> None:
        """Kill what is running; `for_good`: nothing is run here any more. From any thread."""
        self._ended = self._ended or for_good
        if self._process is not None:
            _kill(self._process)

    def _look(self, line: str, process: subprocess.Popen[bytes]) -> None:
        for row in [row for row in self._actions if row[0].search(line)]:
            self._actions.remove(row)
            row[1](process)

    def _env(self) -> Mapping[str, str]:
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith("PYTEST")
        }
        return {
            **inherited,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "DIVERT_CACHE": str(self.cache),
            "DIVERT_DOWNLOADS": str(paths.downloads_dir()),
            **self.environment,
        }


@contextmanager
def stages(folder: Path, number: int) -> Iterator[list[Stage]]:
    """So many of them, in `folder`; gone afterwards, and all that runs in them."""
    above = paths.cache_dir() / mirror.OWN
    above.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        made: list[Stage] = []
        for each in range(number):
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=above)))
            stack.callback(shutil.rmtree, folder / f"stage-{each}", ignore_errors=True)
            made.append(Stage(folder / f"stage-{each}", own / "cache"))
        try:
            yield made
        finally:
            for stage in made:
                stage.end(for_good=True)


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
