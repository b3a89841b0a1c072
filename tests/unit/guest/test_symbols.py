# SPDX-License-Identifier: GPL-2.0-only
"""An oops gets the names that 2.2.12 does not print."""

from __future__ import annotations

from pathlib import Path

from harness.guest import symbols

MAP = """\
c0100200 T ip_rcv
c0100100 t divert_sendmsg
c0100000 A _text
c01001a0 ? __ksymtab
c0200000 A _end
"""


def load(tmp_path: Path) -> symbols.Symbols:
    path = tmp_path / "System.map"
    path.write_text(MAP)
    return symbols.load(path)


def test_addresses_get_names(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.at(0xC0100110) == "divert_sendmsg+0x10"
    assert found.at(0xC0100200) == "ip_rcv+0x0"


def test_addresses_outside_the_kernel_get_none(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found.at(0x08048000) == ""
    assert found.at(0xC8000000) == ""


def test_lines_are_annotated(tmp_path: Path) -> None:
    found = load(tmp_path)
    line = "Call Trace: [<c0100234>] [<c0100110>] [<40001078>] "
    assert found.annotate(line) == (
        "Call Trace: [<c0100234>] ip_rcv+0x34 [<c0100110>] divert_sendmsg+0x10 [<40001078>] "
    )


def test_no_map_changes_nothing(tmp_path: Path) -> None:
    for path in (None, tmp_path / "absent"):
        assert symbols.load(path).annotate("EIP: 0010:[<c0100234>]") == "EIP: 0010:[<c0100234>]"
