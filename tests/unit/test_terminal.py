# SPDX-License-Identifier: GPL-2.0-only
"""What is printed can be copied: no command line and no path is broken, however narrow it is."""

from __future__ import annotations

import io

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness import terminal

LOGIN = "ssh -i /a/key -o UserKnownHostsFile=/a/known_hosts -p 40000 root@127.0.0.1"


def printed(what: RenderableType) -> list[str]:
    stream = io.StringIO()
    terminal.print_whole(Console(file=stream, width=40, highlight=False), what)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_text_stays_one_line() -> None:
    assert printed(Group(Text(LOGIN), Text(f"again: {LOGIN}"))) == [LOGIN, f"again: {LOGIN}"]
    assert printed(f"[{LOGIN}]") == [f"[{LOGIN}]"]


def test_cells_of_a_table_stay_one_line() -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("base", LOGIN)
    table.add_row("[red]defrag[/red]", LOGIN)
    assert printed(table) == [f"base    {LOGIN}", f"defrag  {LOGIN}"]
