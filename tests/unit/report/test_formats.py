# SPDX-License-Identifier: GPL-2.0-only
"""What CI services read of a run: red in every format where the verdict is, and nowhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.base.errors import GuestError, InfrastructureError, TestsFailedError
from harness.record.events import (
    Event,
    EventsLost,
    GuestLost,
    HarnessBroken,
    MergeFault,
    NotBuilt,
    NotRun,
    RunFinished,
    RunStarted,
    SessionFinished,
    ShardStarted,
    TestsCollected,
)
from harness.report import badge, cases, report, result
from harness.report.verdict import judge
from tests.unit.report.test_report import BAD, GOOD, SKIP, stream, write_run

AWKWARD = replace(
    BAD,
    test="p/test_p.py::test_x[a # SKIP \\ <b>&\x1b[31m]",
    message="one, <b>two</b> | 100%: # three\n\n  ...\nok 1 - no\nnot\x00printable",
    line=17,
)


def without(kind: type[Event]) -> list[Event]:
    return [event for event in stream(GOOD) if not isinstance(event, kind)]


def plus(*events: Event) -> list[Event]:
    rows = stream(GOOD, SKIP)
    return [*rows[:-1], *events, rows[-1]]


LOST = GuestLost(variant="base", test=GOOD.test, message="kernel panic\nmore")
RED: dict[str, list[Event]] = {
    "a test that failed": stream(GOOD, BAD),
    "a message full of markup": stream(GOOD, AWKWARD),
    "nothing but skips": stream(SKIP),
    "a guest that was lost": plus(LOST),
    "a session without an end": without(SessionFinished),
    "a session that collected nothing": without(TestsCollected),
    "a run without an end": without(RunFinished),
    "a run without a begin": without(RunStarted),
    "a run that was ended": [*without(RunFinished), RunFinished(interrupted=True, signal=2)],
    "a line that is lost": plus(EventsLost(line=3, why="cut")),
    "a harness that broke": plus(HarnessBroken(message="a thread ended")),
    "a shard that is missing": plus(MergeFault(message="shard 3 of 8 is missing")),
    "a variant that was not built": plus(NotBuilt(name="base", variants=("base",), reason="broke")),
    "a kernel that is not there, and no other": [
        *without(TestsCollected)[:-1],
        NotRun(kernel="linux-2.2.12", reason="put it there"),
        RunFinished(),
    ],
    "nothing at all": [],
}
PASSING = {"all passed": stream(GOOD, SKIP)}


def files(events: Sequence[Event], folder: Path) -> dict[str, str]:
    report.write(folder, events)
    return {name: (folder / name).read_text() for name in report.FILES}


def junit_red(text: str) -> bool:
    root = ElementTree.fromstring(text)
    total = sum(int(root.get(kind, "0")) for kind in ("failures", "errors"))
    red = [case for case in root.iter("testcase") if case.find("failure") is not None]
    red += [case for case in root.iter("testcase") if case.find("error") is not None]
    assert total == len(red)
    return bool(red)


def tap_red(text: str) -> bool:
    """As a consumer has it: a plan that is kept, and no line that is not ok."""
    head, plan, *rest = text.splitlines()
    assert head == "TAP version 13"
    results = [line for line in rest if re.match(r"(not )?ok \d+ - ", line)]
    assert plan == f"1..{len(results)}"
    known = r"(not )?ok \d+ - |  (---|\.\.\.|message: \"|severity: |at: {)"
    assert [line for line in rest if not re.match(known, line)] == []
    return any(line.startswith("not ok") for line in results)


# From the kernel's tools/testing/kunit/kunit_parser.py.
KTAP_START = re.compile(r"^\s*KTAP version ([0-9]+)$")
KTAP_PLAN = re.compile(r"^\s*1\.\.([0-9]+)")
KTAP_RESULT = re.compile(r"^\s*(ok|not ok) ([0-9]+) ?(- )?([^#]*)( # .*)?$")
KTAP_SUBTEST = re.compile(r"^\s*# Subtest: (.*)$")


def ktap_red(text: str) -> bool:
    lines = text.splitlines()
    assert KTAP_START.match(lines[0])
    for line in lines:
        assert any(
            kind.match(line)
            for kind in (KTAP_START, KTAP_PLAN, KTAP_RESULT, KTAP_SUBTEST, re.compile(r"^  # "))
        ), line
    results = [found for line in lines if (found := KTAP_RESULT.match(line))]
    plans = [int(found[1]) for line in lines if (found := KTAP_PLAN.match(line))]
    assert sum(plans) == len(results)
    return any(found[1] == "not ok" for found in results)


READERS: dict[str, Callable[[str], bool]] = {
    report.JUNIT: junit_red,
    report.TAP: tap_red,
    report.KTAP: ktap_red,
    report.ANNOTATIONS: bool,
    report.RESULT: lambda text: json.loads(text)["exit_status"] != 0,
    report.MARKDOWN: lambda text: not text.startswith("## PASS"),
    report.BADGE: lambda text: "#1a7f37" not in text,
}


@pytest.mark.parametrize("format_", READERS)
@pytest.mark.parametrize("what", [*RED, *PASSING])
def test_each_format_is_red_where_the_verdict_is(what: str, format_: str, tmp_path: Path) -> None:
    events = RED.get(what) or PASSING.get(what) or []
    assert judge(events).passed == (what in PASSING)
    assert READERS[format_](files(events, tmp_path)[format_]) == (what in RED)


def test_no_stream_that_breaks_off_is_green_in_any_format(tmp_path: Path) -> None:
    whole = stream(GOOD, SKIP)
    for length in range(len(whole)):
        told = files(whole[:length], tmp_path)
        for format_, red in READERS.items():
            assert red(told[format_]), (length, format_)


def test_each_test_is_in_each_list_once(tmp_path: Path) -> None:
    told = files(stream(GOOD, BAD, SKIP, AWKWARD), tmp_path)
    (suite,) = ElementTree.fromstring(told[report.JUNIT])
    assert suite.get("tests") == "4"
    assert len(re.findall(r"^(?:not )?ok ", told[report.TAP], re.MULTILINE)) == 4
    assert len(re.findall(r"^  (?:not )?ok ", told[report.KTAP], re.MULTILINE)) == 4


def test_file_and_line_of_a_test(tmp_path: Path) -> None:
    told = files(stream(GOOD, AWKWARD), tmp_path)
    (suite,) = ElementTree.fromstring(told[report.JUNIT])
    case = suite[1]
    assert (case.get("file"), case.get("line")) == ("tests/guest/p/test_p.py", "17")
    assert '  at: { file: "tests/guest/p/test_p.py", line: 17 }' in told[report.TAP]
    assert told[report.ANNOTATIONS].startswith("::error file=tests/guest/p/test_p.py,line=17,")
    row = json.loads(told[report.RESULT])["failures"][0]
    assert (row["file"], row["line"]) == ("tests/guest/p/test_p.py", 17)
    # One of somebody's own, outside the checkout.
    own = cases.of(stream(replace(BAD, own="/home/me/test_mine.py")), judge(stream(BAD)))
    assert own[0].cases[0].file == "/home/me/test_mine.py"


def test_annotation_is_one_line_whatever_is_in_it(tmp_path: Path) -> None:
    line, _no_test_passed = files(stream(AWKWARD), tmp_path)[report.ANNOTATIONS].splitlines()
    assert "100%25: # three%0A" in line
    title = line.partition("title=")[2].partition("::")[0]
    assert ":" not in title and "," not in title


def test_markup_of_a_message_is_text_in_the_summary(tmp_path: Path) -> None:
    text = files(stream(AWKWARD), tmp_path)[report.MARKDOWN]
    assert "<b>" not in text
    assert "&lt;b&gt;two&lt;/b&gt; | 100%: # three&#10;&#10;" in text
    assert "again: <code>./inv test --variant base -k" in text


def test_badge_of_a_shard_is_not_green(tmp_path: Path) -> None:
    rows = stream(GOOD)
    shard = ShardStarted(
        number=3, of=8, checkout="", division="", variants=("base",), share={"base": (GOOD.test,)}
    )
    verdict = judge([rows[0], shard, *rows[1:]])
    assert verdict.passed
    picture = badge.render(verdict)
    assert "#1a7f37" not in picture
    assert "shard 3 of 8: 1 tests pass" in picture
    ElementTree.fromstring(picture)


# docs/commands.md has them; a program may rely on each.
KEYS = {
    *("schema", "verdict", "passed", "exit_status", "shard", "command", "seed", "host", "qemu"),
    *("seconds", "counts", "reasons", "variants", "not_run", "not_built", "missing"),
    *("failures", "shards"),
}


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from _keys(each)
    elif isinstance(value, list):
        for each in value:
            yield from _keys(each)


def test_keys_of_the_result_stay() -> None:
    events = stream(GOOD, BAD)
    found = result.of(events, judge(events))
    assert (result.SCHEMA, set(found)) == (1, KEYS)
    assert found["variants"][0]["statements"] == {
        "failed": 2,
        "not_run": 0,
        "proved": 0,
        "not_applicable": 0,
    }
    assert json.loads(json.dumps(found)) == found


def test_result_on_standard_output_is_json_and_ends_as_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path, stream(GOOD, BAD))
    with pytest.raises(TestsFailedError):
        report.show(str(tmp_path), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["exit_status"]) == ("FAIL", 1)
    assert told == json.loads((tmp_path / report.RESULT).read_text())


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("a guest that was lost", GuestError),
        ("a run without an end", InfrastructureError),
        ("a shard that is missing", InfrastructureError),
    ],
)
def test_exit_status_of_the_result(
    what: str, error: type[GuestError] | type[InfrastructureError]
) -> None:
    assert result.of(RED[what], judge(RED[what]))["exit_status"] == error.exit_status
