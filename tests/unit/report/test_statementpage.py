# SPDX-License-Identifier: GPL-2.0-only
"""The report by statement: nothing blank, failures with their packets, and no network needed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from harness.record.events import CanariesEnded, NotRun, RunFinished, TestFinished
from harness.report import statementpage
from harness.report.verdict import judge
from tests.unit.report.test_report import BAD, GOOD, broken_run, stream


def pages(folder: Path, *tests: TestFinished) -> tuple[str, list[dict[str, Any]]]:
    events = stream(*tests)
    statementpage.write(folder, events, judge(events))
    report = folder / "report"
    return (report / "statements.html").read_text(), json.loads(
        (report / "statements.json").read_text()
    )


def test_statement_by_variant(tmp_path: Path) -> None:
    good = replace(GOOD, measures={"rate <": "5/s"})
    page, data = pages(tmp_path, good)
    (p1, r2) = data
    assert (p1["statement"], p1["origin"]) == ("P1", ["H 5.2.1"])
    (cell,) = r2["variants"]
    assert (cell["kernel"], cell["variant"], cell["verdict"]) == ("linux-2.2.12", "base", "proved")
    assert [(case["case"], case["verdict"]) for case in cell["cases"]] == [
        ("R2/path", "proved"),
        ("R2/more", "not applicable"),
    ]
    assert cell["cases"][0]["tests"][0]["test"] == GOOD.test
    assert "PASS" in page
    assert "rate &lt;: 5/s" in page
    # Self-contained: nothing is fetched.
    assert not re.search(r"https?://|<script|<link|@import|src=", page)


def test_each_statement_is_a_place_with_one_stop_for_the_keyboard(tmp_path: Path) -> None:
    page, data = pages(tmp_path, GOOD)
    body = page.partition("<body>")[2]
    names = [row["statement"] for row in data]
    assert sorted(re.findall(r'<tr id="(\w+)">', body)) == names
    assert sorted(re.findall(r"<summary[^>]*>(\w+): \d+ case", body)) == names
    assert body.count("<summary") == len(names)
    # A reader hears of which column and row a cell is.
    assert not re.search(r"<th(?! scope=|ead)", body)


def test_only_what_is_of_a_verdict_or_a_kernel_can_be_shown(tmp_path: Path) -> None:
    """By CSS alone: where CI shows pages, no script runs."""
    page, _ = pages(tmp_path, GOOD)
    assert "2 proved</span> (statement" in page, "of all statements, not of the last one"
    assert '<tbody class="statement has-proved">' in page
    for verdict in re.findall(r'id="(only-[\w-]+)"', page):
        assert verdict == "only-all" or f"body:has(#{verdict}:checked)" in page
    assert "body:has(#kernel-1:not(:checked)) .k1 {" in page


def test_failures_of_one_cause_stand_together(tmp_path: Path) -> None:
    failures = [
        replace(BAD, test="test_a.py::test_one", message="no answer\nassert 1 == 2"),
        replace(BAD, test="test_a.py::test_two", message="another"),
        replace(BAD, test="test_a.py::test_three", message="no answer\nassert 3 == 4"),
    ]
    page, _ = pages(tmp_path, *failures)
    assert re.findall(r"<h3>(.*)</h3>", page) == ["2 alike: no answer"]
    shown = re.findall(r"test_a.py::(\w+)</summary>", page)
    assert shown == ["test_one", "test_three", "test_two"]
    assert '<p>proves <a href="#P1">P1</a>, <a href="#R2">R2</a></p>' in page


def test_failure_with_its_packets(tmp_path: Path) -> None:
    artifacts = tmp_path / "base" / "tests" / "x"
    artifacts.mkdir(parents=True)
    packet = IP(src="192.0.2.2", dst="192.0.2.1", ttl=9, id=3)
    wrpcap(
        str(artifacts / "near.pcap"),
        [Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02") / packet],
    )
    page, data = pages(tmp_path, GOOD, replace(BAD, artifacts=str(artifacts), message="<b>seen"))
    assert 'href="../base/tests/x/near.pcap"' in page
    assert "id 0x0003, ttl 9" in page
    assert "&lt;b&gt;seen" in page
    assert "./inv test --variant base -k" in page
    (link,) = set(re.findall(r'href="#(failure-[^"]*)"', page))
    assert f'id="{link}"' in page
    assert {row["variants"][0]["verdict"] for row in data} == {"failed"}


def test_not_run(tmp_path: Path) -> None:
    events = [stream(GOOD)[0], NotRun(kernel="linux-2.2.12", reason="put a.tar there")]
    events.append(RunFinished())
    statementpage.write(tmp_path, events, judge(events))
    page = (tmp_path / "report" / "statements.html").read_text()
    assert "linux-2.2.12: NOT RUN" in page
    assert "put a.tar there" in page
    assert "PASS" not in page


def test_not_built_and_missing(tmp_path: Path) -> None:
    events = broken_run()
    statementpage.write(tmp_path, events, judge(events))
    page = (tmp_path / "report" / "statements.html").read_text()
    assert '<p class="result failed">NOT BUILT</p>' in page
    assert "<li>off: NOT BUILT</li>" in page
    assert "off, defrag: NOT BUILT" in page
    assert "x.c:1: error" in page
    assert "a 1 is missing, so b is there; put a.tar there" in page


def test_the_canaries_of_this_harness_are_shown_or_said_to_be_missing(tmp_path: Path) -> None:
    events = stream(GOOD)
    rows = (
        ("panic", "it <panics>", "FAIL 1", "FAIL 1", "right"),
        ("hang", "it hangs", "FAIL 1", "PASS 0", "WRONG"),
    )
    page = tmp_path / "report" / "statements.html"
    statementpage.write(tmp_path, events, judge(events))
    assert "has not been tried with its canaries" in page.read_text()
    events.insert(1, CanariesEnded(harness="1234", rows=rows))
    statementpage.write(tmp_path, events, judge(events))
    assert "1 of 2 faults, each really made" in page.read_text()
    assert "<td>it &lt;panics&gt;</td>" in page.read_text()
    assert '<td class="failed">PASS 0</td>' in page.read_text()
