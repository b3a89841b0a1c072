# SPDX-License-Identifier: GPL-2.0-only
"""A report says where it ran on what nobody has tried before; elsewhere it says nothing of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import terminal
from harness.record.events import Event, GuestBooted
from harness.report import report, untried
from harness.report.untried import Tried
from harness.report.verdict import judge
from tests.unit.report.test_verdict import GOOD, STARTED

TRIED = Tried(machines=("x86_64",), accelerators=("tcg",), qemu=("7.2", "10.0"))
HOST = replace(STARTED, qemu="QEMU emulator version 7.2.22 (Debian 1:7.2)", machine="x86_64")
TCG = GuestBooted(variant="base", seconds=1.2, accelerator="tcg")
KVM = replace(TCG, accelerator="kvm")


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ((HOST, TCG), ""),
        ((replace(HOST, qemu="QEMU emulator version 10.0.3"), TCG), ""),
        # An old run says nothing of its machine; one without a guest has tried nothing.
        ((replace(HOST, machine=""), TCG), ""),
        ((replace(HOST, qemu="QEMU emulator version 11.1.0"),), ""),
        ((), ""),
        ((HOST, TCG, KVM), "the whole suite under kvm;"),
        (
            (replace(HOST, qemu="QEMU emulator version 10.1.0"), TCG),
            "the whole suite with QEMU 10.1;",
        ),
        ((replace(HOST, qemu="none"), TCG), "with a QEMU of unknown version;"),
        ((replace(HOST, machine="aarch64"), KVM), "the whole suite under kvm, on aarch64;"),
    ],
)
def test_line(events: tuple[Event, ...], words: str) -> None:
    found = untried.line(events, TRIED)
    assert words in found
    assert bool(words) == bool(found)


def test_the_file_and_its_words() -> None:
    assert untried.load() == TRIED
    assert untried.line((HOST, TCG)) == ""


def test_report_and_page_have_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [HOST if event is STARTED else event for event in GOOD]
    events = [
        replace(each, accelerator="kvm") if isinstance(each, GuestBooted) else each
        for each in events
    ]
    assert judge(events).passed  # It is no reason against a pass.
    terminal.show(report.render(events, tmp_path))
    assert "never tried before: the whole suite under kvm" in capsys.readouterr().out
    report.write(tmp_path, events)
    page = (tmp_path / "report" / "statements.html").read_text()
    assert "never tried before: the whole suite under kvm" in page
