# SPDX-License-Identifier: GPL-2.0-only
"""What goes on is shown while it lasts, from any thread, and the terminal is left as it was."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from rich.text import Text

from harness.base import display, terminal
from harness.base.deadline import Deadline
from harness.base.display import Activity, Display
from tests.unit.base.test_terminal import Tty

_NEVER = 1000.0
_ESCAPE = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


def until(there: Callable[[], bool]) -> None:
    deadline = Deadline(10, "what the display's thread writes")
    while not there():
        deadline.check()
        threading.Event().wait(0.005)


def make(stream: Tty, monkeypatch: pytest.MonkeyPatch, *, live: bool, seconds: float) -> Display:
    monkeypatch.setenv("TERM", "xterm" if live else "dumb")
    monkeypatch.setenv("LINES", "10")
    return Display(terminal.console(stream, width=60), live=live, seconds=seconds)


def screen(text: str) -> list[str]:
    """What is left on a terminal of what was written there: only what the display uses."""
    lines, row = [""], 0
    for piece in re.split(r"(\x1b\[[?0-9;]*[A-Za-z]|\n|\r)", text):
        if piece == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif piece.endswith("A") and piece.startswith("\x1b"):
            row -= int(piece[2:-1])
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece != "\r" and not piece.startswith("\x1b"):
            lines[row] += piece
    return lines


def test_on_a_terminal_lines_change_and_are_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Tty()
    shown = make(stream, monkeypatch, live=True, seconds=0.01)
    doing = Activity("kernel base")
    with shown.showing(doing.lines):
        until(lambda: "kernel base, 0:00" in stream.getvalue())
        doing.detail = "compiling"
        until(lambda: "kernel base, compiling, 0:00" in stream.getvalue())
        shown.print(Text("something said"))
        assert screen(stream.getvalue())[0] == "something said"
        assert screen(stream.getvalue())[1].startswith("kernel base, compiling")
    assert [line for line in screen(stream.getvalue()) if line] == ["something said"]
    # Whatever ends the program, a terminal without a cursor is not left behind.
    hidden, visible = "\x1b[?25l", "\x1b[?25h"
    assert stream.getvalue().count(hidden) <= stream.getvalue().count(visible)
    written = stream.getvalue()
    assert written.rindex(visible) > written.rfind(hidden)


def test_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Tty()
    shown = make(stream, monkeypatch, live=True, seconds=0.01)
    with shown.showing(lambda all_of_them: [f"line {n}" for n in range(20 if all_of_them else 12)]):
        until(lambda: "line 4" in stream.getvalue())
    assert "... and 7 more" in stream.getvalue()
    assert "line 5" not in stream.getvalue()


def test_elsewhere_a_line_now_and_then_without_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Tty()
    shown = make(stream, monkeypatch, live=False, seconds=0.01)
    with shown.showing(lambda all_of_them: ["all"] if all_of_them else ["base [b] :bug:"]):
        until(lambda: stream.getvalue().count("base [b] :bug:\n") > 2)
    ended = stream.getvalue()
    assert not _ESCAPE.search(ended)
    assert "all" not in ended
    with shown.paused():
        pass
    assert stream.getvalue() == ended


def test_nothing_is_written_while_something_else_has_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = Tty()
    shown = make(stream, monkeypatch, live=True, seconds=0.001)
    with shown.showing(lambda _: ["busy"]):
        until(lambda: "busy" in stream.getvalue())
        with shown.paused():
            before = stream.getvalue()
            assert not [line for line in screen(before) if line]
            threading.Event().wait(0.02)
            assert stream.getvalue() == before
        until(lambda: "busy" in screen(stream.getvalue()))


def test_many_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Tty()
    shown = make(stream, monkeypatch, live=True, seconds=0.001)

    def work(number: int) -> None:
        for turn in range(20):
            with shown.showing(Activity(f"thread {number}").lines):
                shown.print(Text(f"said {number}.{turn}"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    left = [line for line in screen(stream.getvalue()) if line]
    assert sorted(left) == sorted(
        f"said {number}.{turn}" for number in range(6) for turn in range(20)
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_error_leaves_the_terminal_as_it_was(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    stream = Tty()
    shown = make(stream, monkeypatch, live=True, seconds=_NEVER)
    with pytest.raises(error), shown.showing(lambda _: ["busy"]):
        raise error
    assert not [line for line in screen(stream.getvalue()) if line]
    assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")


def test_clock() -> None:
    assert [display.clock(each) for each in (7.9, 750, 3723)] == ["0:07", "12:30", "1:02:03"]
