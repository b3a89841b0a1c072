# SPDX-License-Identifier: GPL-2.0-only
"""A report of a kernel of today names the function and the module."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.guest import trace

CONSOLES = Path(__file__).parent / "consoles" / "linux-6.1"


@pytest.mark.parametrize(
    ("console", "where"),
    [
        ("oops", "in bad_read.isra.0+0x5/0x10 [crashme]"),
        ("bug", "in crashme_init+0x84/0x1000 [crashme]"),
        # In the kernel itself, by the module's fault.
        (
            "refcount",
            "in refcount_warn_saturate+0xfb/0x110, called from crashme_init+0x1b3/0x1000 [crashme]",
        ),
        # Only the calls are shown; those with a question mark do not count.
        ("scheduled-while-atomic", "called from crashme_init+0x16b/0x1000 [crashme]"),
        # No module has a part in it.
        ("panic", "called from sysrq_handle_crash+0x16/0x20"),
    ],
)
def test_place(console: str, where: str) -> None:
    assert trace.place((CONSOLES / f"{console}.txt").read_text().splitlines()) == where


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        (
            ["[   12.3] RIP: 0010:0x0", "[   12.3]  take+0x1/0x2 [divert]"],
            "in 0x0, called from take",
        ),
        (["[   12.3] RIP: 0010:take+0x12/0x340 [divert]"], "in take+0x12/0x340 [divert]"),
        (
            ["RIP: 0010:take.cold+0x12/0x340 [divert a0b1c2]"],
            "in take.cold+0x12/0x340 [divert a0b1c2]",
        ),
        (["[   12.3] RIP: 0023:0x80490b7", "[   12.3]  ? take+0x1/0x2 [divert]"], ""),
        (["EIP:    0010:[<c0100110>]", "Call Trace: [<c0100234>]"], ""),
        ([], ""),
    ],
)
def test_registers(lines: list[str], where: str) -> None:
    assert trace.place(lines).startswith(where)
    assert bool(trace.place(lines)) == bool(where)
