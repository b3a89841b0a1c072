# SPDX-License-Identifier: GPL-2.0-only
"""Shards make one verdict, that of one run; and whatever is wrong with them, makes it red."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness.base import paths
from harness.base.errors import (
    GuestError,
    HarnessError,
    InfrastructureError,
    RunInterruptedError,
    TestsFailedError,
    UserError,
)
from harness.record import runfolders, shares
from harness.record.events import (
    TYPES,
    Event,
    EventsLost,
    GuestBooted,
    GuestLost,
    HarnessBroken,
    ImageBuilt,
    KernelBuilt,
    MergeFault,
    NotBuilt,
    NotRun,
    Outcome,
    RunFinished,
    RunStarted,
    SessionFinished,
    ShardStarted,
    StatementKnown,
    TestFinished,
    TestsCollected,
    TestsOwed,
    TestStarted,
    VariantSelected,
)
from harness.record.stream import Writer, to_line
from harness.report import exitstatus, joined, merge, report
from harness.report.statementverdicts import NOT_RUN, PROVED
from harness.report.statementverdicts import of as cells
from harness.report.verdict import Verdict, judge

SHARES: list[dict[str, tuple[str, ...]]] = [
    {"base": ("c/t.py::a", "c/t.py::b")},
    {"base": ("c/t.py::c",), "linux-6.1:base": ("c/t.py::a",)},
    {"linux-6.1:base": ("c/t.py::b", "c/t.py::c")},
]
KERNELS = {"base": "linux-2.2.12", "linux-6.1:base": "linux-6.1"}
PROVES = {"c/t.py::a": "S1/one", "c/t.py::b": "S1/two", "c/t.py::c": "S2"}
KNOWN = [
    StatementKnown(
        name="S1", origin=("D",), text="", parts={"S1/one": ((), "1"), "S1/two": ((), "2")}
    ),
    StatementKnown(name="S2", origin=("D",), text="", parts={"S2": ((), "")}),
]
SHARDED = "./inv test --variant base,linux-6.1:base --shard 1/3 --seed 5 --jobs 2"


def started(number: int, **other: object) -> list[Event]:
    run = RunStarted(
        at=100.0 + number,
        command=SHARDED,
        variants=tuple(SHARES[number - 1]),
        expression="",
        seed=5,
        jobs=2,
        host=f"machine {number}",
        qemu="QEMU emulator version 7.2",
    )
    shard = ShardStarted(
        number=number,
        of=3,
        checkout="0a" * 32,
        division=shares.digest(SHARES),
        variants=("base", "linux-6.1:base"),
        share=SHARES[number - 1],
    )
    return [_with(run, other), _with(shard, other)]


def _with(event: Event, other: dict[str, object]) -> Event:
    own = {name: value for name, value in other.items() if hasattr(event, name)}
    return replace(event, **own)  # type: ignore[arg-type]


def finished(variant: str, test: str, outcome: Outcome = "passed") -> TestFinished:
    return TestFinished(
        variant=variant, test=test, outcome=outcome, statements=(PROVES[test],), seconds=0.5
    )


def of_variant(variant: str, tests: Sequence[str]) -> list[Event]:
    return [
        KernelBuilt(variant=variant, seconds=3.0, cached=False),
        TestsCollected(variant=variant, tests=tuple(tests)),
        GuestBooted(variant=variant, seconds=1.5, accelerator="tcg"),
        *(
            event
            for test in tests
            for event in (TestStarted(variant=variant, test=test), finished(variant, test))
        ),
        SessionFinished(variant=variant, status=0, seconds=10.0),
    ]


def shard(number: int, **other: object) -> list[Event]:
    share = SHARES[number - 1]
    selected = [
        event
        for name, tests in share.items()
        for event in (
            VariantSelected(variant=name, kernel=KERNELS[name], has=()),
            TestsOwed(variant=name, tests=tests),
        )
    ]
    sessions = [event for name, tests in share.items() for event in of_variant(name, tests)]
    begin = started(number, **other)
    end = RunFinished(at=200.0 + number)
    built = ImageBuilt(seconds=0.0, cached=True)
    return [*begin, *KNOWN, *selected, built, *sessions, end]


def three() -> list[list[Event]]:
    return [shard(1), shard(2), shard(3)]


def merged(shards: Sequence[Sequence[Event]]) -> list[Event]:
    return merge.merge({Path(f"/runs/{n}"): events for n, events in enumerate(shards, 1)})


def verdict_of(shards: Sequence[Sequence[Event]]) -> Verdict:
    return judge(merged(shards))


def ended(verdict: Verdict) -> type[HarnessError] | None:
    return exitstatus.family(verdict)


def changed(
    shards: Sequence[Sequence[Event]], number: int, change: Callable[[Event], Event | None]
) -> list[list[Event]]:
    """The shards with the events of one of them changed, or dropped."""
    rows = [list(events) for events in shards]
    rows[number - 1] = [new for event in rows[number - 1] if (new := change(event)) is not None]
    return rows


def test_three_shards_are_what_one_run_would_have_been() -> None:
    events = merged(three())
    verdict = judge(events)
    assert (verdict.passed, verdict.counts, verdict.shard) == (True, (6, 0, 0), "")
    assert [(row.variant, row.passed, row.test_seconds) for row in verdict.variants] == [
        ("base", 3, 20.0),
        ("linux-6.1:base", 3, 20.0),
    ]
    assert {cell.verdict for cell in cells(events)} == {PROVED}
    assert len(cells(events)) == 4
    start = verdict.started
    assert start is not None
    assert start.command == "./inv test --variant base,linux-6.1:base --seed 5 --jobs 2"
    assert start.host == "machine 1; machine 2; machine 3"
    assert start.variants == ("base", "linux-6.1:base")
    assert verdict.seconds == pytest.approx(102.0)


def test_shard_alone_is_no_verdict_on_the_whole() -> None:
    verdict = judge(shard(2))
    assert (verdict.passed, verdict.shard) == (True, "shard 2 of 3")
    # S1 has two cases, and here one was tried.
    assert [cell.verdict for cell in cells(shard(2))] == [NOT_RUN, NOT_RUN, PROVED, NOT_RUN]


def test_page_of_a_shard_says_that_it_is_one(tmp_path: Path) -> None:
    report.write(tmp_path, shard(2))
    page = (tmp_path / "report" / "statements.html").read_text()
    assert '<p class="result not-run">PASS of shard 2 of 3</p>' in page
    assert '<p class="result proved">' not in page


def test_order_of_the_folders_does_not_matter_nor_that_one_is_named_twice() -> None:
    assert verdict_of(three()[::-1]).passed
    assert verdict_of([*three(), shard(2)][:3]).passed
    again = [[replace(e) for e in events] for events in three()]
    assert verdict_of([*again, again[1]]).passed


@pytest.mark.parametrize("number", [1, 2, 3])
def test_missing_shard_is_named_and_no_pass(number: int) -> None:
    rest = [events for n, events in enumerate(three(), 1) if n != number]
    verdict = verdict_of(rest)
    assert f"shard {number} of 3 is missing" in verdict.reasons
    assert ended(verdict) is InfrastructureError


TESTS = [(name, test) for share in SHARES for name, tests in share.items() for test in tests]


@pytest.mark.parametrize(("variant", "test"), TESTS)
def test_no_test_goes_unseen(variant: str, test: str) -> None:
    """Each test is dropped from its shard, as thoroughly as can be."""
    number = next(n for n, share in enumerate(SHARES, 1) if test in share.get(variant, ()))

    def result(event: Event) -> Event | None:
        of_it = isinstance(event, TestFinished) and (event.variant, event.test) == (variant, test)
        return None if of_it else event

    def session(event: Event) -> Event | None:
        event = result(event) or replace(KNOWN[0])
        if isinstance(event, TestsCollected | TestsOwed) and event.variant == variant:
            return replace(event, tests=tuple(t for t in event.tests if t != test))
        return event

    def all_of_it(event: Event) -> Event | None:
        event = session(event) or event
        if isinstance(event, ShardStarted):
            own = tuple(each for each in event.share[variant] if each != test)
            share = {**event.share, variant: own}
            return replace(event, share=share)
        return event

    for drop, reason in (
        (result, "1 tests did not run"),
        (session, f"shard {number} of 3: 1 tests of its share did not run, {test} on {variant}"),
        (all_of_it, "the shares of the shards are not those that the run was divided into"),
    ):
        verdict = verdict_of(changed(three(), number, drop))
        assert not verdict.passed
        assert any(reason in each for each in verdict.reasons), (reason, verdict.reasons)


@pytest.mark.parametrize("length", range(len(shard(2))))
def test_no_shard_that_broke_off_passes(length: int) -> None:
    shards = three()
    shards[1] = shards[1][:length]
    verdict = verdict_of(shards)
    assert not verdict.passed
    assert ended(verdict) is not None


def test_shard_that_broke_off_is_named() -> None:
    shards = three()
    shards[1] = shards[1][:-1]
    assert "shard 2 of 3: it broke off" in verdict_of(shards).reasons
    shards[1] = []
    reasons = verdict_of(shards).reasons
    assert "/runs/2 broke off before it said which shard it is" in reasons
    assert "shard 2 of 3 is missing" in reasons


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"checkout": "0b" * 32}, "another checkout"),
        ({"seed": 6}, "another seed"),
        ({"expression": "x"}, "another -k"),
        ({"of": 4}, "another number of shards"),
        ({"variants": ("base",)}, "other variants"),
        ({"require": ("linux-6.1",)}, "another --require"),
        ({"command": f"{SHARDED} --tools"}, "other options"),
        ({"division": "0c" * 32}, "divided otherwise"),
    ],
)
def test_shard_of_another_run_is_a_mistake_in_the_command(
    other: dict[str, object], what: str
) -> None:
    with pytest.raises(UserError, match=rf"shard 3 of \d \(/runs/3\) is of .*{what}"):
        merged([shard(1), shard(2), shard(3, **other)])


def test_what_is_a_machines_own_may_differ() -> None:
    other = SHARDED.replace("1/3", "3/3").replace("--jobs 2", "--jobs 8 --source a=/other/b.tar")
    assert verdict_of([shard(1), shard(2), shard(3, command=other, jobs=8)]).passed


def test_shard_twice_and_not_the_same_is_a_mistake() -> None:
    bad = changed(
        three(),
        2,
        lambda e: replace(e, outcome="failed") if isinstance(e, TestFinished) else e,
    )[1]
    with pytest.raises(UserError, match="shard 2 of 3 is there twice, and not the same: /runs/2"):
        merged([*three(), bad])


def test_whole_run_is_no_shard() -> None:
    whole = [event for event in shard(2) if not isinstance(event, ShardStarted)]
    with pytest.raises(UserError, match="/runs/4 is a run of its own, and no shard of one"):
        merged([*three(), whole])
    with pytest.raises(UserError, match="none of these is a shard"):
        merged([[]])


def failed(event: Event) -> Event:
    if isinstance(event, TestFinished) and event.test == "c/t.py::c":
        return replace(event, outcome="failed", message="it broke")
    if isinstance(event, SessionFinished) and event.variant == "base":
        return replace(event, status=1)
    return event


def test_exit_status_is_by_the_order_of_one_run() -> None:
    red = changed(three(), 2, failed)
    assert ended(verdict_of(red)) is TestsFailedError
    assert ended(verdict_of(red[:2])) is TestsFailedError
    lost = [*red[2][:-1], GuestLost(variant="linux-6.1:base", test="c/t.py::b", message="panic")]
    assert ended(verdict_of([*red[:2], [*lost, red[2][-1]]])) is GuestError
    broken = [*red[2][:-1], HarnessBroken(message="a thread ended"), red[2][-1]]
    assert ended(verdict_of([*red[:2], broken])) is InfrastructureError
    cut = [*red[2][:-1], RunFinished(interrupted=True, signal=15)]
    verdict = verdict_of([*red[:2], cut])
    assert (ended(verdict), verdict.signal) == (RunInterruptedError, 15)


def test_session_that_ended_early_on_one_machine_is_not_made_good_by_anothers() -> None:
    def killed(event: Event) -> Event | None:
        return None if isinstance(event, SessionFinished) else event

    for number in (1, 2):
        reasons = verdict_of(changed(three(), number, killed)).reasons
        assert "base: the session did not finish" in reasons


@pytest.mark.parametrize("status", [1, 2, -9])
def test_status_of_a_session_stays(status: int) -> None:
    def bad(event: Event) -> Event:
        return replace(event, status=status) if isinstance(event, SessionFinished) else event

    for number in (1, 2, 3):
        assert not verdict_of(changed(three(), number, bad)).passed


def absent(number: int) -> list[Event]:
    """A shard on a machine that has nothing of 2.2.12."""
    events = [
        event
        for event in shard(number)
        if getattr(event, "variant", "") != "base" or isinstance(event, VariantSelected | TestsOwed)
    ]
    return [*events[:-1], NotRun(kernel="linux-2.2.12", reason="no archive"), events[-1]]


def test_kernel_that_one_machine_had_not_is_no_pass() -> None:
    verdict = verdict_of([absent(1), shard(2), shard(3)])
    assert not verdict.passed
    assert "linux-2.2.12: NOT RUN on shard 1 of 3, though others had it" in verdict.reasons
    assert "base: the session did not finish" in verdict.reasons


def test_kernel_that_no_machine_had_is_not_run_as_in_one_run() -> None:
    verdict = verdict_of([absent(1), absent(2), shard(3)])
    assert (verdict.passed, verdict.word) == (True, "PASS")
    assert [row.kernel for row in verdict.not_run] == ["linux-2.2.12"]


def test_variant_that_one_machine_could_not_build_is_no_pass() -> None:
    events = [
        event
        for event in shard(1)
        if not isinstance(event, TestsCollected | TestFinished | SessionFinished | TestStarted)
    ]
    unbuilt = NotBuilt(name="base", variants=("base",), reason="broke")
    verdict = verdict_of([[*events[:-1], unbuilt, events[-1]], shard(2), shard(3)])
    assert "base: NOT BUILT on shard 1 of 3, though others built it" in verdict.reasons
    everywhere = verdict_of([[*events[:-1], unbuilt, events[-1]], absent(2), shard(3)])
    assert not everywhere.passed


def test_archive_that_one_machine_had_not_is_no_pass() -> None:
    def without(event: Event) -> Event:
        if isinstance(event, VariantSelected) and event.variant == "base":
            return replace(event, lacks={"ipchains": "ipchains-1.3.9"})
        return event

    reasons = verdict_of(changed(three(), 2, without)).reasons
    assert "base: ipchains-1.3.9 was missing on some of its shards only" in reasons


def test_test_of_anothers_share_and_one_that_ran_twice_are_seen() -> None:
    stranger = [*shard(1)[:-1], finished("base", "c/t.py::c"), shard(1)[-1]]
    assert (
        "shard 1 of 3: c/t.py::c on base is not of its share"
        in verdict_of([stranger, shard(2), shard(3)]).reasons
    )
    twice = [*shard(1)[:-1], finished("base", "c/t.py::a"), shard(1)[-1]]
    assert (
        "shard 1 of 3: c/t.py::a on base was run 2 times"
        in verdict_of([twice, shard(2), shard(3)]).reasons
    )


def test_line_that_was_cut_off_names_its_shard() -> None:
    lost = [*shard(1)[:-1], EventsLost(line=7, why="cut"), shard(1)[-1]]
    reasons = verdict_of([lost, shard(2), shard(3)]).reasons
    assert "shard 1 of 3: line 7 of its events is lost" in reasons


def test_every_kind_of_event_is_joined_in_one_way() -> None:
    ways = [set(joined.ONCE), set(joined.TOGETHER), set(joined.AS_IT_IS), set(joined.OF_THE_SHARD)]
    assert set().union(*ways) == set(TYPES.values())
    assert sum(map(len, ways)) == len(TYPES)


def write(folder: Path, events: Sequence[Event]) -> Path:
    folder.mkdir(parents=True)
    writer = Writer(folder / runfolders.EVENTS)
    for event in events:
        writer.write(event)
    writer.close()
    return folder


def test_merged_run_is_a_run_whose_report_can_be_had_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    red = changed(three(), 2, failed)
    folders = []
    for number, events in enumerate(red, 1):
        # As copied from a machine where it was in another place.
        away = [
            replace(e, artifacts=f"/home/ci/runs/x/{e.variant}/tests/c_c")
            if isinstance(e, TestFinished) and e.outcome == "failed"
            else e
            for e in events
        ]
        folders.append(str(write(tmp_path / f"from-{number}", away)))
    kept = tmp_path / "from-2" / "base" / "tests" / "c_c" / "failure.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("why")
    with pytest.raises(TestsFailedError):
        report.show_merged(folders)
    told = capsys.readouterr().out
    assert "FAIL: 5 passed, 1 failed, 0 skipped (base: 1 failed)" in told
    assert "1/3" in told and "machine 3" in told
    latest = (tmp_path / "runs" / "latest").resolve()
    assert (latest / "base" / "tests" / "c_c" / "failure.txt").read_text() == "why"
    assert str(latest / "base" / "tests" / "c_c") in told
    page = (latest / "report" / "statements.html").read_text()
    assert '<th scope="row">3 of 3</th><td>from-3</td>' in page
    (suites,) = [ElementTree.parse(latest / report.JUNIT).getroot()]
    assert [suite.get("tests") for suite in suites] == ["3", "3"]
    with pytest.raises(TestsFailedError):
        report.show(str(latest))
    assert told.partition("FAILED")[2] == capsys.readouterr().out.partition("FAILED")[2]


def test_report_ends_as_its_run_did_where_something_was_required(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [
        replace(e, require=("linux-2.2.12",)) if isinstance(e, RunStarted) else e for e in absent(2)
    ]
    folder = write(tmp_path / "run", events)
    with pytest.raises(InfrastructureError, match=r"linux-2\.2\.12 is required"):
        report.show(str(folder))


def test_fault_of_a_merge_is_kept_in_its_events(tmp_path: Path) -> None:
    events = merged(three()[:2])
    (fault,) = [event for event in events if isinstance(event, MergeFault)]
    assert fault.message == "shard 3 of 3 is missing"
    assert '"MergeFault"' in to_line(fault)
