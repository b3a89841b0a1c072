# SPDX-License-Identifier: GPL-2.0-only
"""The console's watcher on a real terminal, with the test in the guest's place."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import sys
import threading
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from harness.base import background
from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError, InfrastructureError
from harness.guest import ttyreader
from harness.guest.console import Console
from harness.guest.linecutter import LINE_BYTES

CONSOLES = Path(__file__).parent / "consoles"


class Guest:
    """The guest's side of the terminal."""

    def __init__(self) -> None:
        self.watched, self.fd = pty.openpty()
        tty.setraw(self.fd)

    def say(self, text: str) -> None:
        # As 2.2.12 does: the return behind the line feed.
        with os.fdopen(os.dup(self.fd), "wb") as stream:
            stream.write(text.replace("\n", "\n\r").encode())

    def replay(self, name: str) -> None:
        self.say((CONSOLES / name).read_text())

    def end(self) -> None:
        os.close(self.fd)


Watch = Callable[..., Console]


@pytest.fixture
def guest() -> Iterator[Guest]:
    guest = Guest()
    yield guest
    os.close(guest.watched)


@pytest.fixture
def watch(guest: Guest, tmp_path: Path) -> Iterator[Watch]:
    with ExitStack() as stack:

        def start(**options: object) -> Console:
            console = Console(guest.watched, tmp_path / "console.log", **options)  # type: ignore[arg-type]
            stack.callback(console.stop)
            return console

        yield start


def soon(what: str = "line") -> Deadline:
    return Deadline(5, what)


def test_mark_is_found_before_and_after_the_call(guest: Guest, watch: Watch) -> None:
    console = watch()
    threading.Timer(0.05, lambda: guest.replay("boot.txt")).start()
    for _ in range(2):
        line = console.wait_for("^DIVERT-GUEST-READY$", soon())
        assert line is not None
        assert line.text == "DIVERT-GUEST-READY"
    assert not console.in_trouble


def test_lines_have_times_and_go_to_the_log(guest: Guest, watch: Watch, tmp_path: Path) -> None:
    console = watch(age=100.0)
    guest.say("one\ntwo\n")
    console.wait_for("two", soon())
    assert [line.text for line in console.lines] == ["one", "two"]
    assert 100 <= console.lines[0].seconds <= console.lines[1].seconds < 110
    console.stop()
    assert (tmp_path / "console.log").read_text() == "".join(f"{line}\n" for line in console.lines)


def test_no_mark_in_time(watch: Watch) -> None:
    with pytest.raises(DeadlineError, match=r"no mark within 0\.05 s"):
        watch().wait_for("READY", Deadline(0.05, "mark"))


def test_panic_ends_the_wait_and_tells_the_subscribers(guest: Guest, watch: Watch) -> None:
    console = watch()
    told = threading.Event()
    console.subscribe(told.set)
    guest.replay("panic.txt")
    assert console.wait_for("READY", soon()) is None
    assert console.crash is not None
    assert console.crash.name == "panic"
    assert told.wait(5)
    late = threading.Event()
    console.subscribe(late.set)
    assert late.is_set()


def test_first_crash_names_it(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.replay("oops-in-interrupt.txt")
    assert console.wait_for("READY", soon()) is None
    assert [line.text for line in console.report()][-1].startswith("Rebooting") or console.crash
    assert console.crash is not None
    assert console.crash.name == "oops"


def test_report_waits_for_the_end_of_an_oops(guest: Guest, watch: Watch) -> None:
    console = watch()
    text = (CONSOLES / "oops.txt").read_text()
    half = text.index("EFLAGS")
    guest.say(text[:half])
    assert console.wait_for("READY-NEVER", soon()) is None
    threading.Timer(0.1, lambda: guest.say(text[half:])).start()
    report = [line.text for line in console.report()]
    assert report[0] == "DIVERT-GUEST-READY"
    assert report[-1].startswith("Code: ")


def test_report_of_half_an_oops(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.say("Oops: 0000\nCPU:    0\n")
    assert console.wait_for("READY-NEVER", soon()) is None
    guest.end()
    assert [line.text for line in console.report()] == ["Oops: 0000", "CPU:    0"]


@pytest.mark.parametrize(
    ("golden", "name"),
    [("warning", "warning"), ("bug", "oops"), ("refcount", "memory corrupted")],
)
def test_report_below_a_heading(guest: Guest, watch: Watch, golden: str, name: str) -> None:
    console = watch()
    text = (CONSOLES / "linux-6.1" / f"{golden}.txt").read_text()
    guest.say("all is well\n")
    half = text.index("]------------") + len("]------------\n")
    guest.say(text[:half])
    assert console.wait_for("READY-NEVER", soon()) is None
    assert console.crash is not None
    assert console.crash.name == "cut here"
    threading.Timer(0.1, lambda: guest.say(text[half:])).start()
    report = [line.text for line in console.report()]
    assert console.crash.name == name
    # It has all from what came before it to its end, however long.
    assert report[0] == "all is well"
    assert any("[ cut here ]" in line for line in report[:3])
    assert sum("Call Trace:" in line for line in report) == 1
    assert "---[ end trace" in report[-1]


def test_headline_is_the_first(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.replay("linux-6.1/oops-in-interrupt.txt")
    assert console.wait_for("READY-NEVER", soon()) is None
    report = console.report()
    assert console.crash is not None
    assert (console.crash.name, console.crash.heading) == ("oops", False)
    assert "BUG: kernel NULL pointer dereference" in console.crash.words
    assert "---[ end trace" in report[-1].text


def test_after_forget_the_next_crash_counts(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.replay("oops.txt")
    assert console.wait_for("READY-NEVER", soon()) is None
    console.report()
    console.forget()
    assert not console.in_trouble
    mark = console.mark()
    guest.say("all is well\n")
    assert console.wait_for("^all is well$", soon()) is not None
    assert [line.text for line in console.since(mark)] == ["all is well"]
    guest.replay("oops.txt")
    assert console.wait_for("READY-NEVER", soon()) is None
    assert len([line for line in console.report() if line.text.startswith("Code: ")]) == 1


def test_end_of_the_guest(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.say("last words")
    guest.end()
    assert console.wait_for("READY", soon()) is None
    assert console.closed
    assert [line.text for line in console.lines] == ["last words"]


def test_flood_is_cut_and_told(guest: Guest, watch: Watch, tmp_path: Path) -> None:
    console = watch(limit=10_000)
    told = threading.Event()
    console.subscribe(told.set)
    writer = threading.Thread(target=guest.say, args=["no end to it\n" * 5000], daemon=True)
    writer.start()
    assert console.wait_for("READY", soon()) is None
    writer.join(20)
    assert console.flooded
    assert told.is_set()
    guest.end()
    console.join(5)
    assert (tmp_path / "console.log").stat().st_size < 25_000


def test_stop_leaves_the_terminal_to_others(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.say("first\n")
    console.wait_for("first", soon())
    console.stop()
    assert not console.closed
    guest.say("second\n")
    assert os.read(guest.watched, 100).strip() == b"second"


def test_tee_gets_every_byte(guest: Guest, watch: Watch) -> None:
    seen: list[bytes] = []
    console = watch(tee=seen.append)
    guest.say("login: ")
    guest.say("x\n")
    console.wait_for("login: x", soon())
    assert b"".join(seen).replace(b"\r", b"") == b"login: x\n"


def test_flood_without_an_end_of_line(guest: Guest, watch: Watch, tmp_path: Path) -> None:
    """Bytes are counted, not lines: a message, and the log, are no longer for it."""
    console = watch(limit=10_000)
    told = threading.Event()
    console.subscribe(told.set)
    writer = threading.Thread(target=guest.say, args=["no end to it, " * 5000], daemon=True)
    writer.start()
    assert console.wait_for("READY", soon("flood")) is None
    writer.join(20)
    assert console.flooded
    assert told.is_set()
    assert max(len(line.text) for line in console.report()) <= LINE_BYTES
    assert (tmp_path / "console.log").stat().st_size < 25_000


def test_what_is_left_of_a_flood_is_drained(guest: Guest, watch: Watch) -> None:
    console = watch(limit=10_000)
    guest.say("x" * 3000)
    console.settle()
    assert not console.flooded
    console.forget()
    guest.say("x" * 9000)
    console.settle()
    assert not console.flooded
    guest.say("x" * 1001)
    console.settle()
    assert console.flooded


FAULTS = (
    "WARNING: CPU: 0 PID: 110 at net/ipv4/a.c:50 take+0x3d/0x100 [divert]",
    "WARNING: possible recursive locking detected",
    "WARNING: words of a kernel to come",
    "BUG: sleeping function called from invalid context at mm/slab.h:525",
    "Unable to handle kernel NULL pointer dereference at virtual address 00000000",
    "Oops: 0000",
    "kfree: Bad obj c01ab960",
    "double lock on socket at c0155b10",
)


@pytest.mark.slow
@pytest.mark.parametrize("words", FAULTS)
@pytest.mark.parametrize("before", ["", "divert# ", "no end", "x" * (LINE_BYTES - 7), "7:"])
def test_fault_is_seen_wherever_in_a_line_it_begins(
    guest: Guest, watch: Watch, before: str, words: str
) -> None:
    """A program in the guest may have left a line without its end; and so may the kernel."""
    console = watch()
    guest.say(f"all is well\n{before}{words}")
    console.settle()
    assert console.crash is not None
    assert console.crash.words == words
    guest.say("\nwhat follows\n")
    console.settle()
    assert words in "".join(line.text for line in console.lines)


def test_all_that_was_written_before_it_settles_has_been_seen(guest: Guest, watch: Watch) -> None:
    """However the host's processors are busy: a crash at the very end of a test is the test's."""
    console = watch(limit=sys.maxsize)
    for number in range(200):
        guest.say(f"line {number}\n" * 50)
        console.settle()
        assert console.lines[-1].text == f"line {number}"
        assert len(console.lines) == 50 * (number + 1)
    assert "fence" not in console.log.read_text()


def test_settles_where_the_host_opens_terminals_by_name_only(
    guest: Guest, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fcntl.ioctl

    def refuse(fd: int, request: int, argument: object) -> object:
        if request == ttyreader._TIOCGPTPEER:
            raise OSError(errno.ENOTTY, "no such request")
        return asked(fd, request, argument)  # type: ignore[call-overload]

    console = watch()
    monkeypatch.setattr(fcntl, "ioctl", refuse)
    guest.say("one\n")
    console.settle()
    assert [line.text for line in console.lines] == ["one"]


@pytest.mark.slow
def test_line_that_is_not_gone_on_with_ends_a_wait(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.say("Kernel panic: and it never comes to the end of the line")
    assert console.wait_for("READY", soon()) is None
    assert [line.text for line in console.report()] == [
        "Kernel panic: and it never comes to the end of the line"
    ]


def test_settled_after_its_end(guest: Guest, watch: Watch) -> None:
    console = watch()
    guest.say("last words")
    guest.end()
    console.settle()
    console.join(5)
    console.settle()
    assert console.closed
    assert [line.text for line in console.lines] == ["last words"]


def test_exception_in_its_thread_is_no_green(
    guest: Guest, watch: Watch, broken_threads: None
) -> None:
    """A console that nobody watches shows no crash, so every wait ends, and says why."""

    def broken(_data: bytes) -> None:
        raise ZeroDivisionError("of the harness")

    console = watch(tee=broken)
    told = threading.Event()
    console.subscribe(told.set)
    guest.say("all is well\n")
    assert console.wait_for("READY", soon()) is None
    assert told.wait(5)
    assert console.closed
    with pytest.raises(InfrastructureError, match="ZeroDivisionError: of the harness"):
        background.check()
