# SPDX-License-Identifier: GPL-2.0-only
"""What was seen on a wire: frames in the order of their coming, to wait for and to keep as pcap."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError
from harness.network.frames import Frame
from harness.network.packets import write_pcap


class Recording(Protocol):
    """What gets each frame of both directions."""

    def append(self, frame: Frame, /) -> object: ...


class Capture:
    """The frames of one wire. Filled by the wire's thread, read and waited for by the tests'."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []
        self._recordings: list[Recording] = []
        self._changed = threading.Condition()
        self._interrupted = False

    def add(self, frame: Frame) -> None:
        """Capture a frame of the guest's."""
        with self._changed:
            self._frames.append(frame)
            for recording in self._recordings:
                recording.append(frame)
            self._changed.notify_all()

    def note(self, frame: Frame) -> None:
        """A frame for the recordings alone: one that the harness sent, or ARP about its own."""
        with self._changed:
            for recording in self._recordings:
                recording.append(frame)

    def change(self, action: Callable[[], None]) -> None:
        """Do `action`, on which a `wait` may wait."""
        with self._changed:
            action()
            self._changed.notify_all()

    def wait(
        self, condition: Callable[[], bool], deadline: Deadline, *, interruptible: bool = True
    ) -> bool:
        """Wait for `condition`; False if the guest got into trouble, or the time ran out, first."""
        with self._changed:
            while not condition():
                given_up = interruptible and self._interrupted
                if given_up or deadline.expired:
                    return condition()
                self._changed.wait(deadline.remaining)
        return True

    def after(self, count: int, deadline: Deadline) -> list[Frame]:
        """The frames after the first `count`, once there are any; none as `wait` returns False."""
        self.wait(lambda: len(self._frames) > count, deadline)
        return self.frames()[count:]

    def frames(self) -> list[Frame]:
        """All frames captured since `clear()`."""
        with self._changed:
            return list(self._frames)

    def clear(self) -> None:
        """Forget what was captured so far; recordings go on."""
        with self._changed:
            self._frames.clear()

    @property
    def interrupted(self) -> bool:
        """Whether the guest is in trouble."""
        return self._interrupted

    def interrupt(self) -> None:
        """Let every wait end now: the guest is in trouble."""
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def resume(self) -> None:
        """The guest is well again."""
        with self._changed:
            self._interrupted = False

    @contextmanager
    def tapped(self, recording: Recording) -> Iterator[None]:
        """Give each frame of both directions to `recording`, from the thread that has it."""
        with self._changed:
            self._recordings.append(recording)
        try:
            yield
        finally:
            with self._changed:
                self._recordings = [one for one in self._recordings if one is not recording]

    @contextmanager
    def record(self, path: Path, complete: Callable[[], None]) -> Iterator[None]:
        """Keep a pcap at `path`, written when the context is left, after `complete()`.

        A wait of `complete` in vain does not cost the pcap.
        """
        recording: list[Frame] = []
        try:
            with self.tapped(recording):
                try:
                    yield
                finally:
                    # In vain if the guest is lost, which is reported elsewhere.
                    with contextlib.suppress(DeadlineError):
                        complete()
        finally:
            write_pcap(path, recording)
