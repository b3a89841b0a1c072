# SPDX-License-Identifier: GPL-2.0-only
"""A run: what it builds for, what it leaves behind, and which error its verdict amounts to."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import (
    InfrastructureError,
    MissingSourceError,
    NoRoomError,
    TestsFailedError,
    UserError,
)
from harness.image import image
from harness.image.image import Image
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.matrix import statements, variants
from harness.matrix.variants import Variant
from harness.record import runfolders
from harness.record.events import Event, RunStarted, TestFinished
from harness.record.repeat import repeat
from harness.record.stream import Writer
from harness.record.stream import read as read_events
from harness.report import exitstatus, junit, report
from harness.report.verdict import judge
from harness.run import runner, worker
from harness.run.recorder import Recorder
from harness.run.request import Request, asked
from harness.run.selection import Selection
from harness.upstream import sources
from harness.upstream.releases import Source
from tests.unit.support import toysuite

pytestmark = pytest.mark.slow

PASSING = """
@S1
def test_one(guest): pass

@pytest.mark.statement('S2/bind')
def test_two(guest): pass
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a toy suite the guest tests; nothing is downloaded or built."""
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "locate", lambda *_: tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: "/bin/sh")
    nothing = tmp_path / "nothing"
    monkeypatch.setattr(
        image, "build", lambda **_: Image(nothing, nothing, nothing, seconds=0.0, cached=True)
    )

    def build(variant: Variant, **_: object) -> Kernel:
        files = (nothing, nothing, nothing, nothing, nothing)
        return Kernel(variant, *files, seconds=14.5, cached=variant.name == "off")

    monkeypatch.setattr(kernel, "build", build)

    # What the toy suite proves is all that is owed.
    s1 = statements.load()["S1"]
    owed = replace(s1, cases={"opens": s1.cases["opens"]})
    monkeypatch.setattr(statements, "load", lambda: {"S1": owed})

    def make(tests: str) -> Path:
        monkeypatch.setattr(paths, "GUEST_TESTS", toysuite.make(tmp_path, tests))
        return tmp_path

    return make


def request(*names: str, expression: str = "") -> Request:
    known = variants.load()
    return Request(tuple(known[name] for name in names), Selection(expression), jobs=2, seed=5)


def test_run_that_passes(suite: Callable[[str], Path]) -> None:
    suite(PASSING)
    result = runner.run(request("off", "base"))
    assert result.verdict.reasons == ()
    assert result.verdict.counts == (2, 0, 2)
    rows = {row.variant: row for row in result.verdict.variants}
    assert (rows["off"].build_cached, rows["base"].build_seconds) == (True, 14.5)
    names = {path.name for path in result.folder.iterdir()}
    assert names == {"events.jsonl", *report.FILES, "report", "off", "base"}
    assert (paths.RUNS / "latest").resolve() == result.folder.resolve()


def test_shards_of_a_run_are_merged_to_what_the_run_would_have_been(
    suite: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("red", "two", "three")
    suite("\n".join(f"@S1\ndef test_{name}(guest): assert '{name}' != 'red'" for name in names))
    toysuite.owe(paths.GUEST_TESTS, worker.survey(Selection(root=paths.GUEST_TESTS)))
    whole = runner.run(asked(variant="base", seed="5"))
    folders = []
    for number in (1, 2):
        shard = runner.run(asked(variant="base", seed="5", shard=f"{number}/2"))
        assert shard.verdict.shard == f"shard {number} of 2"
        assert sum(shard.verdict.counts) < sum(whole.verdict.counts)
        folders.append(str(shard.folder))
    with pytest.raises(TestsFailedError):
        report.show_merged(folders)
    merged = judge(read_events(paths.RUNS / "latest" / runfolders.EVENTS))
    assert (merged.counts, merged.reasons) == (whole.verdict.counts, whole.verdict.reasons)
    assert {test.line > 0 for test in merged.failures} == {True}
    with pytest.raises((InfrastructureError, TestsFailedError)):
        report.show_merged(folders[:1])
    assert "shard 2 of 2 is missing" in capsys.readouterr().out


def test_run_that_fails(suite: Callable[[str], Path]) -> None:
    suite("@S1\ndef test_one(guest):\n    assert 1 == 2\n")
    result = runner.run(request("base"))
    assert result.verdict.reasons == ("base: 1 failed", "no test passed")
    with pytest.raises(TestsFailedError):
        exitstatus.raise_for(result.verdict)


def test_missing_source_is_not_run(
    suite: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite(PASSING)

    def locate(source: Source, _given: object) -> Path:
        raise MissingSourceError(f"{source.name} is missing", "put it there")

    monkeypatch.setattr(sources, "locate", locate)
    result = runner.run(request("base"))
    assert result.verdict.reasons == ("linux-2.2.12: NOT RUN",)
    (row,) = result.verdict.not_run
    assert row.reason == "linux-2.2.12 is missing\nput it there"
    # All that is missing at once, so that nobody has to come back twice.
    assert [missing.name for missing, _ in result.verdict.missing] == [
        "linux-2.2.12",
        "ipchains-1.3.9",
    ]
    with pytest.raises(MissingSourceError):
        exitstatus.raise_for(result.verdict)


def test_build_that_breaks(suite: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    suite(PASSING)

    def build(*_: object, **__: object) -> Kernel:
        raise InfrastructureError("does not compile")

    monkeypatch.setattr(kernel, "build", build)
    result = runner.run(request("base"))
    ((reason, names),) = result.verdict.unbuilt.items()
    assert (reason, names) == ("does not compile", ["base"])
    assert (result.verdict.reasons, result.verdict.passed) == ((), False)
    with pytest.raises(InfrastructureError):
        exitstatus.raise_for(result.verdict)


def test_no_qemu_is_told_before_anything_is_built(
    suite: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite(PASSING)

    def build(**_: object) -> Image:
        raise AssertionError

    monkeypatch.setattr(image, "build", build)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    (row,) = runner.run(request("base")).verdict.not_built
    assert row.reason.startswith("this host lacks qemu-system-i386")


def _interrupt_at_the_first_test(monkeypatch: pytest.MonkeyPatch) -> None:
    record = Recorder.record

    def interrupt(self: Recorder, event: object) -> None:
        record(self, event)  # type: ignore[arg-type]
        if type(event).__name__ == "TestStarted":
            raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "record", interrupt)


def test_interrupted_run_ends_its_sessions_and_says_so(
    suite: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite("@S1\ndef test_waits():\n    time.sleep(100)\n")
    _interrupt_at_the_first_test(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        runner.run(request("base"))
    events = read_events(paths.RUNS / "latest" / runfolders.EVENTS)
    verdict = judge(events)
    assert verdict.interrupted
    assert any("ended with status 2 in test_toy.py::test_waits" in row for row in verdict.reasons)


def test_session_that_is_interrupted_again_and_again_says_so(
    suite: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """pytest forgets its exit status if it is interrupted while it ends, and says 0."""
    suite("@S1\ndef test_waits():\n    time.sleep(100)\n")
    _interrupt_at_the_first_test(monkeypatch)

    def impatient(self: worker.Worker) -> None:
        while self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            time.sleep(0.002)

    monkeypatch.setattr(worker.Worker, "interrupt", impatient)
    with pytest.raises(KeyboardInterrupt):
        runner.run(request("base"))
    verdict = judge(read_events(paths.RUNS / "latest" / runfolders.EVENTS))
    assert any("ended with status 2 in test_toy.py::test_waits" in row for row in verdict.reasons)


def test_expression_that_matches_nothing_is_the_users_mistake(
    suite: Callable[[str], Path],
) -> None:
    suite(PASSING)
    for expression, complaint in (
        ("no_such_test", "no guest test's name matches -k 'no_such_test'"),
        ("one and", "pytest does not understand -k 'one and'"),
    ):
        with pytest.raises(UserError, match=complaint):
            asked(variant="base", expression=expression)
    assert not paths.RUNS.exists(), "it is said before anything is built"


def test_expression_that_leaves_nothing_that_applies_is_no_pass(
    suite: Callable[[str], Path],
) -> None:
    suite(PASSING)
    result = runner.run(request("base", expression="two"))
    assert result.verdict.reasons == ("no test passed",)
    both = runner.run(request("base", "off", expression="two"))
    assert both.verdict.reasons == ()


def test_tests_that_prove_something_of_a_statement(suite: Callable[[str], Path]) -> None:
    suite(PASSING)
    chosen = asked(variant="base", statement="S1/opens")
    assert list(chosen.tests) == ["test_toy.py::test_one"]
    result = runner.run(chosen)
    assert (result.verdict.passed, result.verdict.counts) == (True, (1, 0, 0))
    started = next(event for event in result.events if isinstance(event, RunStarted))
    assert started.expression == "--statement S1/opens"
    with pytest.raises(UserError, match="no test is selected by --statement S1/opens -k two"):
        asked(variant="base", statement="S1/opens", expression="two")


OWN = """
import pytest
def test_bare(): pass
def test_own_skip(): pytest.skip("not today")
@pytest.mark.xfail(reason="known")
def test_own_fault(): assert False
@pytest.mark.xfail(reason="known")
def test_own_fault_that_is_gone(): pass
def test_fails():
    raise GuestError("no packet")
"""


def test_tests_of_somebodys_own(suite: Callable[[str], Path], tmp_path: Path) -> None:
    """They prove nothing, skip what they like, and no test of the suite is missed beside them."""
    suite(PASSING)
    file = tmp_path / "own" / "test_own.py"
    file.parent.mkdir()
    file.write_text(f"from harness.base.errors import GuestError\n{OWN}")
    chosen = asked(files=[str(file)])
    # Where no variant is named, one that diverts.
    assert [row.name for row in chosen.variants] == ["base"]
    result = runner.run(chosen)
    ended = [event for event in result.events if isinstance(event, TestFinished)]
    assert [(event.test.rpartition("::")[2], event.outcome, event.message) for event in ended] == [
        ("test_bare", "passed", ""),
        ("test_own_skip", "skipped", "Skipped: not today"),
        ("test_own_fault", "skipped", "expected to fail: known"),
        ("test_own_fault_that_is_gone", "passed", ""),
        ("test_fails", "failed", f"no packet\n({file}, line 11)"),
    ]
    assert result.verdict.reasons == ("base: 1 failed",)
    again = shlex.split(repeat(ended[-1]))
    assert again == ["./inv", "test", str(file), "--variant", "base", "-k", "test_fails"]
    file.write_text(file.read_text().partition("def test_fails")[0])
    assert runner.run(asked(variant="base", files=[str(file)])).verdict.passed


def test_unmarked_test_fails_the_whole_run(
    suite: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    suite(f"{PASSING}\ndef test_bare(): pass\n")
    with pytest.raises(TestsFailedError, match="cannot be collected") as error:
        runner.test(asked(variant="base", expression="one"))
    assert "test_bare is not marked with a statement" in error.value.hint
    assert "test_two" not in error.value.hint, (
        "it is not for the reader to find the error in a list"
    )
    assert "base: the session ended with status 4" in runner.run(request("base")).verdict.reasons
    assert "test_bare is not marked with a statement" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"seed": "many"}, "--seed many"),
        ({"variant": "nonsense"}, "there is no variant nonsense"),
        ({"require": ["linux-1.0"]}, "there is no such kernel"),
    ],
)
def test_mistakes_of_the_user(options: dict[str, object], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        runner.test(asked(**options))  # type: ignore[arg-type]


def test_command_that_does_the_same_again() -> None:
    asked = replace(request("base", "off", expression="a or b"), given=("linux-2.2.12=/x y",))
    assert asked.command == (
        "./inv test --variant base,off -k 'a or b' --source 'linux-2.2.12=/x y' --seed 5 --jobs 2"
    )


def test_two_runs_in_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    folders = {runfolders.new(tmp_path) for _ in range(3)}
    assert len(folders) == 3
    assert (tmp_path / "latest").resolve() in folders


def test_start_of_a_run_tells_host_and_qemu(suite: Callable[[str], Path]) -> None:
    suite(PASSING)
    started = runner.run(request("off")).events[0]
    assert isinstance(started, RunStarted)
    assert started.host
    assert started.seed == 5


def test_full_disk_ends_the_run_with_what_is_known(
    suite: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite("@S1\ndef test_one(guest): pass\n@S1\ndef test_two(guest): pass\n")
    write = Writer.write

    def until_full(self: Writer, event: Event) -> None:
        if isinstance(event, TestFinished):
            monkeypatch.setattr(self, "_stream", full)
        write(self, event)

    monkeypatch.setattr(Writer, "write", until_full)
    with (
        Path("/dev/full").open("ab", buffering=0) as full,
        pytest.raises(NoRoomError, match="No space left on device"),
    ):
        runner.run(request("base"))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("FAIL: ")
    assert "1 passed" in last or "2 passed" in last
    assert "No space left on device" in last
    # On the disk is what it took, and that is no pass either.
    events = read_events(paths.RUNS / "latest" / runfolders.EVENTS)
    assert not judge(events).passed


def test_report_that_finds_no_room_is_shown_all_the_same(
    suite: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite(PASSING)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(junit, "write", full)
    with pytest.raises(NoRoomError, match="No space left on device"):
        runner.run(request("base"))
    assert capsys.readouterr().out.splitlines()[-1].startswith("PASS: 1 passed")
    # Nothing of it is there that is cut off.
    assert not (paths.RUNS / "latest" / report.SUMMARY).exists()


def test_folder_of_runs_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "runs").touch()
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    with pytest.raises(NoRoomError, match="cannot write"):
        runner.run(request("base"))
