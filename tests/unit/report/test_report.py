# SPDX-License-Identifier: GPL-2.0-only
"""Reports show what the stream says: table, failures with the way to repeat them, JUnit."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.base import terminal
from harness.base.errors import GuestError, TestsFailedError, UserError
from harness.record import runfolders
from harness.record.events import (
    Event,
    GuestBooted,
    GuestKept,
    GuestLost,
    ImageBuilt,
    KernelBuilt,
    NotBuilt,
    NotRun,
    Outcome,
    RunFinished,
    RunStarted,
    SessionFinished,
    SourceMissing,
    StatementKnown,
    TestFinished,
    TestsCollected,
    VariantSelected,
)
from harness.record.stream import Writer
from harness.report import report

NAME = "tests/guest/test_p.py::test_dropped[input-udp]"


def finished(test: str, outcome: Outcome, message: str = "") -> TestFinished:
    return TestFinished(
        variant="base",
        test=test,
        outcome=outcome,
        statements=("P1", "R2/path"),
        seconds=0.25,
        message=message,
        artifacts="/runs/1/base/tests/x" if outcome == "failed" else "",
    )


def stream(*finished_tests: TestFinished, kernel_seconds: float = 14.6) -> list[Event]:
    failed = any(test.outcome == "failed" for test in finished_tests)
    return [
        RunStarted(
            command="./inv test",
            variants=("base",),
            expression="",
            seed=42,
            jobs=2,
            host="",
            qemu="",
        ),
        StatementKnown(
            name="P1",
            origin=("H 5.2.1",),
            text="dropped as by DENY",
            parts={"P1": (("divert",), "dropped as by DENY")},
        ),
        StatementKnown(
            name="R2",
            origin=("H 6.2", "K"),
            text="works on all hooks",
            parts={"R2/path": ((), "the path"), "R2/more": (("defrag",), "more")},
        ),
        VariantSelected(variant="base", kernel="linux-2.2.12", has=("divert", "patched")),
        ImageBuilt(seconds=61.0, cached=False),
        KernelBuilt(variant="base", seconds=kernel_seconds, cached=False),
        TestsCollected(variant="base", tests=tuple(test.test for test in finished_tests)),
        GuestBooted(variant="base", seconds=1.234, accelerator="tcg"),
        *finished_tests,
        SessionFinished(variant="base", status=int(failed), seconds=9.87),
        RunFinished(),
    ]


GOOD = finished("t.py::test_a", "passed")
BAD = finished(NAME, "failed", "packets seen: 2\nexpected: 1\x07")
SKIP = finished("t.py::test_b", "skipped", "not applicable: x")


def text_of(events: Sequence[Event], *, everything: bool = False) -> str:
    stream = io.StringIO()
    terminal.write(stream, report.render(events, Path("/runs/1"), everything=everything))
    return stream.getvalue()


def test_table_of_a_pass() -> None:
    text = text_of(stream(GOOD, SKIP))
    row = next(line for line in text.splitlines() if line.startswith("base"))
    assert row.split() == ["base", "2/2", "1", "0", "1", "14.6", "1.23", "9.9", "tcg", "pass"]
    assert "guest image: built in 61.0 s; seed 42; 2 guests at once" in text
    assert "report: /runs/1/report/statements.html" in text
    assert text.rstrip().splitlines()[-1] == "PASS: 1 passed, 0 failed, 1 skipped"


def test_failure_says_how_to_repeat_it() -> None:
    text = text_of(stream(GOOD, BAD))
    assert "FAILED base: tests/guest/test_p.py::test_dropped[input-udp] (P1, R2/path)" in text
    assert "packets seen: 2" in text
    assert "files: /runs/1/base/tests/x" in text
    assert "again: ./inv test --variant base -k 'test_dropped[input-udp]'" in text
    assert "FAIL: 1 passed, 1 failed, 0 skipped (base: 1 failed)" in text


def test_many_failures_are_all_named() -> None:
    tests = [finished(f"t.py::test_{n}", "failed", "x") for n in range(25)]
    text = text_of(stream(*tests))
    assert text.count("FAILED") == report.FAILURES_SHOWN
    assert all(f"test_{n}" in text for n in range(25))
    assert text_of(stream(*tests), everything=True).count("FAILED") == 25


def test_long_message_is_cut_and_says_so() -> None:
    test = finished(NAME, "failed", "\n".join(f"line {n}" for n in range(100)))
    text = text_of(stream(test))
    assert f"line {report.MESSAGE_LINES - 1}\n" in text
    assert f"line {report.MESSAGE_LINES}\n" not in text
    assert f"({100 - report.MESSAGE_LINES} more lines in its files)" in text


def test_statement_table() -> None:
    text = text_of(stream(GOOD, BAD, SKIP), everything=True)
    row = next(line for line in text.splitlines() if line.startswith("P1"))
    assert row.split() == ["P1", "H", "5.2.1", "failed", "(2)"]


def test_not_run_kept_and_lost() -> None:
    begin = stream(GOOD)[0]
    text = text_of([begin, NotRun(kernel="linux-2.2.12", reason="put a.tar there"), RunFinished()])
    assert "linux-2.2.12: NOT RUN\nput a.tar there" in text
    assert "PASS" not in text
    assert "tests by statement" not in text
    text = text_of([*stream(GOOD), GuestKept(variant="base", login="ssh -p 1 root@127.0.0.1")])
    assert "kept: base: ssh -p 1 root@127.0.0.1" in text
    lost = GuestLost(variant="base", test="t.py::test_a", message="kernel panic\nlines")
    assert "FAIL: 1 passed" in text_of([*stream(GOOD), lost])


def write_run(folder: Path, events: Sequence[Event]) -> None:
    writer = Writer(folder / runfolders.EVENTS)
    for event in events:
        writer.write(event)
    writer.close()


def test_files_of_a_run(tmp_path: Path) -> None:
    report.write(tmp_path, stream(GOOD, BAD, SKIP))
    assert "FAILED base" in (tmp_path / report.SUMMARY).read_text()
    (suite,) = ElementTree.parse(tmp_path / report.JUNIT).getroot()
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "base",
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "1",
    }
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "packets seen: 2"
    statements = [item.get("value") for item in suite.iter("property")]
    assert statements == ["P1", "R2/path"] * 3


def test_what_belongs_to_no_test_is_an_error_in_junit(tmp_path: Path) -> None:
    events = [event for event in stream(GOOD) if not isinstance(event, SessionFinished)]
    report.write(tmp_path, events)
    (suite,) = ElementTree.parse(tmp_path / report.JUNIT).getroot()
    error = suite.find("testcase/error")
    assert error is not None
    assert error.get("message") == "the session did not finish"


def test_old_run_can_be_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path, stream(GOOD))
    report.show(str(tmp_path))
    assert "PASS: 1 passed" in capsys.readouterr().out
    assert "PASS" in (tmp_path / report.SUMMARY).read_text()
    with pytest.raises(UserError, match="is no run's folder"):
        report.show(str(tmp_path / "nowhere"))


def test_run_that_failed_fails_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lost = GuestLost(variant="base", test="t.py::test_a", message="kernel panic")
    for events, error in (
        (stream(GOOD, BAD), TestsFailedError),
        ([*stream(GOOD), lost], GuestError),
    ):
        write_run(tmp_path, events)
        with pytest.raises(error):
            report.show(str(tmp_path))
        assert capsys.readouterr().out.splitlines()[-1].startswith("FAIL: ")


def broken_run() -> list[Event]:
    """One variant passes, two cannot be built for one reason, and an archive is missing."""
    started, *rest = stream(GOOD, SKIP)
    assert isinstance(started, RunStarted)
    names = ("off", "defrag")
    missing = SourceMissing(name="a-1", title="a 1", instead="b is there", hint="put a.tar there")
    reason = "does not compile:\n  x.c:1: error\nall of the log: there\x07"
    broken = [NotBuilt(name=name, variants=(name,), reason=reason) for name in names]
    return [replace(started, variants=("base", *names)), missing, *broken, *rest]


def test_what_was_not_built_is_a_row_with_its_reason() -> None:
    lines = text_of(broken_run()).splitlines()
    rows = {line.split()[0]: line for line in lines if line.endswith("NOT BUILT")}
    assert {"off", "defrag"} <= rows.keys()
    assert rows["off"].split() == ["off", *["-"] * 7, "NOT", "BUILT"]
    told = lines.index("off, defrag: NOT BUILT")
    assert lines[told + 1 : told + 3] == ["does not compile:", "  x.c:1: error"]
    assert "a 1 is missing, so b is there; put a.tar there" in lines
    assert lines[-1].startswith("NOT BUILT: 1 passed, 0 failed, 1 skipped (off: NOT BUILT; ")


def test_what_was_done_without_is_in_the_last_line() -> None:
    events = [event for event in broken_run() if not isinstance(event, NotBuilt | RunStarted)]
    last = text_of([stream(GOOD)[0], *events]).splitlines()[-1]
    assert last == "PASS: 1 passed, 0 failed, 1 skipped (without a-1)"


def test_what_was_not_built_is_an_error_in_junit(tmp_path: Path) -> None:
    report.write(tmp_path, broken_run())
    base, *unbuilt = ElementTree.parse(tmp_path / report.JUNIT).getroot()
    assert (base.get("name"), base.get("errors")) == ("base", "0")
    assert [(suite.get("name"), suite.get("errors")) for suite in unbuilt] == [
        ("off", "1"),
        ("defrag", "1"),
    ]
    error = unbuilt[0].find("testcase/error")
    assert error is not None
    assert error.get("message") == "does not compile:"
    assert "x.c:1: error" in (error.text or "")


def test_verdict_of_a_variant_is_one_line_however_long() -> None:
    lost = GuestLost(variant="base", test="t.py::test_a", message="kernel panic: " + "long " * 60)
    lines = text_of([*stream(GOOD), lost]).splitlines()
    row = next(line for line in lines if line.startswith("base "))
    assert row.count("long") == 60


def test_what_a_guest_says_is_shown_as_it_is() -> None:
    said = "[b]x[/b] :bug: [1] [/] \x1b[2J\x07"
    shown = "[b]x[/b] :bug: [1] [/] \\x1b[2J\\x07"
    test = finished(f"t.py::test[{said}]", "failed", said)
    events: list[Event] = [
        *stream(test),
        GuestLost(variant="base", test="t.py::test_a", message=said),
        GuestKept(variant="base", login=said),
        NotRun(kernel="linux-9", reason=said),
    ]
    text = text_of(events, everything=True)
    assert text.count(shown) >= 6
    assert "\x1b" not in text
    assert "\x07" not in text
