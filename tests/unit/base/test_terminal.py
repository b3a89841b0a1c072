# SPDX-License-Identifier: GPL-2.0-only
"""What is printed can be copied, and is text: no line is broken, nothing in it is an order."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base import paths, terminal

LOGIN = "ssh -i /a/key -o UserKnownHostsFile=/a/known_hosts -p 40000 root@127.0.0.1"
# Markup, an emoji, a number and a string to be highlighted, a link; and what a terminal obeys.
ODD = "[b]x[/b] :bug: [1] 'a' [link=x]y[/link] [/]"
ORDERS = "\x1b[31mred\x07 \x9b2J\x0d\u202e"

# Where rich, which reads markup in a plain string, may be used.
_OF_RICH = {"terminal.py", "display.py"}


class Tty(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def printed(what: terminal.Shown, width: int = 40, stream: io.StringIO | None = None) -> list[str]:
    stream = stream or io.StringIO()
    terminal.print_whole(terminal.console(stream, width=width), what)
    return stream.getvalue().splitlines()


def grid(*rows: tuple[str, ...], folded: tuple[str, ...] = ()) -> terminal.Grid:
    made = terminal.Grid("what", "why", folded=folded)
    for row in rows:
        made.row(*row)
    return made


def test_text_stays_one_line() -> None:
    parts = terminal.group(LOGIN, terminal.text("again: ", LOGIN, style="red"))
    assert printed(parts) == [LOGIN, f"again: {LOGIN}"]
    assert printed(f"[{LOGIN}]") == [f"[{LOGIN}]"]


def test_row_of_a_table_stays_one_line_also_in_a_group() -> None:
    table = grid(("base", LOGIN), ("defrag", "x"), folded=("why",))
    lines = ["what    why", f"base    {LOGIN}", "defrag  x"]
    assert printed(table) == lines
    assert printed(terminal.group("", table)) == ["", *lines]


def test_on_a_terminal_a_folded_column_takes_what_room_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    table = grid(("base", "word " * 20), folded=("why",))
    lines = [re.sub(r"\x1b\[\d*m", "", line) for line in printed(table, 40, Tty())]
    assert len(lines) > 3
    assert max(map(len, lines)) <= 40
    # With less room than that, each word would have its own line.
    assert len(printed(table, 20, Tty())) == 2


def test_everything_is_shown_as_it_is() -> None:
    assert printed(ODD, 200) == [ODD]
    assert printed(terminal.text((ODD, "red")), 200) == [ODD]
    assert printed(grid((ODD, ODD)), 200)[1] == f"{ODD}  {ODD}"
    assert printed(terminal.Grid(ODD), 200) == [ODD]


def test_orders_to_a_terminal_are_spelled_out() -> None:
    said = r"\x1b[31mred\x07 \x9b2J\r\u202e"
    assert terminal.clean(ORDERS) == said
    assert terminal.clean("a\r\n\tb ä\n") == "a\n\tb ä\n"
    assert printed(ORDERS, 200) == [said]
    assert printed(terminal.group(ORDERS, grid((ORDERS, ""))), 200)[::2] == [said, said]


def test_progress_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(ODD + ORDERS)
    with terminal.activity(ODD):
        pass
    with terminal.activity("one of many", said=False):
        pass
    assert capsys.readouterr().err == f"{ODD}{terminal.clean(ORDERS)}\n{ODD}\n"


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_there_is_no_other_way_to_print() -> None:
    for path in [*sorted((paths.ROOT / "harness").glob("*.py")), paths.ROOT / "tasks.py"]:
        uses = {name.partition(".")[0] for name in _imports(path)}
        assert "rich" not in uses or path.name in _OF_RICH, f"{path.name} prints past terminal.py"
