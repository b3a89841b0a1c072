# SPDX-License-Identifier: GPL-2.0-only
"""A check that did not run, or left no result, has failed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import checkout, paths
from harness.base.errors import (
    GuestError,
    HarnessError,
    InfrastructureError,
    MissingSourceError,
    TestsFailedError,
    UnavailableError,
    UserError,
)
from harness.bench import bench, measurement, plan
from harness.canaries import canary
from harness.check import check, guestruns, steps
from harness.check.steps import Counts, Step, StepResult
from harness.debian import packages
from harness.debian.hostrelease import Release
from harness.fresh import fresh
from harness.interactive import session
from harness.kernel import debiankernel, module
from harness.kernel.debiankernel import Headers
from harness.matrix import suites, variants
from harness.matrix.kernels import Kernel
from harness.mutate import mutate
from harness.mutate.edit import Edit
from harness.mutate.mutants import Mutant
from harness.record.events import Event, GuestLost, NotBuilt, NotRun, RunFinished, RunStarted
from harness.report.verdict import judge
from harness.run import inventory, runner, worker
from harness.run.inventoryfiles import Inventory
from harness.run.request import HOST_KERNEL, Request
from harness.run.worker import Test
from tests.unit.report.test_verdict import GOOD

pytestmark = pytest.mark.slow

MODULE = Step("module", ())

# Those before the guest tests that are functions of check.
STEPS = (
    *(
        "documents",
        "fresh_room",
        "module_builds",
        "benchmark",
        "other_users",
        "smoke_steps",
        "gdb_steps",
    ),
    *("tools_steps", "snapshot_steps"),
    *("other_configurations", "quick_canaries", "sampled_mutants", "both_kernels"),
    "guest_samples",
)


def python(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


def test_tool_that_passes_and_tool_that_fails(tmp_path: Path) -> None:
    good = steps.run_step(Step("good", python("print('fine')")), tmp_path)
    assert (good.counts, good.output) == (Counts(passed=1), "")
    bad = steps.run_step(Step("bad", python("print('broken'); raise SystemExit(3)")), tmp_path)
    assert (bad.counts, bad.output) == (Counts(failed=1), "broken\n")


def test_tool_that_cannot_be_started_has_failed(tmp_path: Path) -> None:
    missing = steps.run_step(Step("missing", (str(tmp_path / "no-such-tool"),)), tmp_path)
    assert missing.counts == Counts(failed=1)
    assert "no-such-tool" in missing.output


@pytest.mark.parametrize(
    ("junit", "status", "expected"),
    [
        ('<testsuite tests="5" failures="1" errors="1" skipped="1"/>', 1, Counts(2, 2, 1)),
        ('<testsuite tests="5" failures="0" errors="0" skipped="0"/>', 0, Counts(5, 0, 0)),
        # pytest failed though its file shows no failure.
        ('<testsuite tests="5" failures="0" errors="0" skipped="0"/>', 3, Counts(4, 1, 0)),
        ('<testsuite tests="0" failures="0" errors="0" skipped="0"/>', 5, Counts(failed=1)),
        ("<testsuite", 0, Counts(failed=1)),
        (None, 0, Counts(failed=1)),
    ],
)
def test_counts_from_junit(
    tmp_path: Path, junit: str | None, status: int, expected: Counts
) -> None:
    file = tmp_path / "unit.xml"
    content = None if junit is None else f"<testsuites>{junit}</testsuites>"
    script = f"import pathlib; pathlib.Path({str(file)!r}).write_text({content!r})\n"
    script = f"{script if content else ''}raise SystemExit({status})"
    step = Step("unit tests", python(script), file)
    assert steps.run_step(step, tmp_path).counts == expected


def test_stale_result_of_an_earlier_run_does_not_count(tmp_path: Path) -> None:
    file = tmp_path / "unit.xml"
    file.write_text('<testsuites><testsuite tests="5"/></testsuites>')
    step = Step("unit tests", python("raise SystemExit(0)"), file)
    assert steps.run_step(step, tmp_path).counts == Counts(failed=1)


STARTED = RunStarted(
    command="", variants=("base",), expression="", seed=1, jobs=1, host="", qemu=""
)
NOT_RUN = (STARTED, NotRun(kernel="linux-2.2.12", reason="put x there"), RunFinished())


def guest_run(monkeypatch: pytest.MonkeyPatch, outcome: tuple[Event, ...] | HarnessError) -> None:
    """Let the run of the guest tests end with the events or the error given."""

    def run(_request: Request) -> runner.RunResult:
        if isinstance(outcome, HarnessError):
            raise outcome
        return runner.RunResult(Path("/runs/1"), outcome, judge(outcome))

    tests = {name: Test(("S1/opens",)) for name in ("a", "b")}
    monkeypatch.setattr(worker, "survey", lambda *_: tests)
    monkeypatch.setattr(inventory, "require", lambda *_, **__: Inventory({}, {}))
    monkeypatch.setattr(runner, "run", run)


def test_missing_archive_is_a_skip_unless_required(monkeypatch: pytest.MonkeyPatch) -> None:
    guest_run(monkeypatch, NOT_RUN)
    result = guestruns.guest_tests([], [])
    rows = guestruns.whole(variants.select(), checkout.seed())
    of_the_reference = [row for row in rows if row.kernel == "linux-2.2.12"]
    assert result.counts == Counts(skipped=2 * len(of_the_reference))
    assert "linux-2.2.12, was NOT RUN" in result.note
    assert "put x there" in result.note
    required = guestruns.guest_tests([], ["linux-2.2.12"])
    assert required.counts.failed == 1
    assert "required" in required.note


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (GuestError("no guest"), Counts(failed=1)),
        (UserError("bad archive"), Counts(failed=1)),
        (InfrastructureError("no room"), Counts(unbuilt=1)),
        # Of a source that is needed besides the kernel's: then it is no skip.
        (MissingSourceError("no dropbear"), Counts(unbuilt=1)),
    ],
)
def test_anything_else_that_keeps_them_from_running_is_no_pass(
    monkeypatch: pytest.MonkeyPatch, error: HarnessError, counts: Counts
) -> None:
    guest_run(monkeypatch, error)
    result = guestruns.guest_tests([], [])
    assert result.counts == counts
    assert error.message in result.output


BROKEN = NotBuilt(name="off", variants=("off",), reason="x.c:1: error")


def test_what_could_not_be_built_is_counted_and_told_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = replace(STARTED, variants=("base", "off"))
    guest_run(monkeypatch, (asked, BROKEN, *GOOD[1:]))
    result = guestruns.guest_tests([], [])
    assert result.counts == Counts(passed=1, skipped=1, unbuilt=1)
    assert "off: NOT BUILT\nx.c:1: error" in result.note
    only_guests(monkeypatch)
    with pytest.raises(InfrastructureError):
        check.check()
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed, 1 skipped, 1 not built"
    # A failure comes first.
    monkeypatch.setattr(
        check, "steps", lambda _, **_how: (Step("one", python("raise SystemExit(1)")),)
    )
    with pytest.raises(TestsFailedError):
        check.check()


def only_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all steps, one tool that passes, and the guest tests."""
    for name in STEPS:
        monkeypatch.setattr(check, name, lambda *_: StepResult(MODULE, Counts(), 0.0, ""))
    monkeypatch.setattr(check, "steps", lambda _, **_how: (Step("one", python("")),))


def test_run_that_did_not_finish_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    guest_run(monkeypatch, GOOD)
    assert guestruns.guest_tests([], []).counts == Counts(1, 0, 1)
    guest_run(monkeypatch, GOOD[:-1])
    assert guestruns.guest_tests([], []).counts == Counts(1, 1, 1)


def test_last_line_counts_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    guest_run(monkeypatch, GOOD)
    only_guests(monkeypatch)
    check.check()
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 0 failed, 1 skipped"
    monkeypatch.setattr(
        check, "steps", lambda _, **_how: (Step("one", python("raise SystemExit(1)")),)
    )
    with pytest.raises(TestsFailedError):
        check.check()
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed, 1 skipped"


def test_check_in_which_no_guest_test_ran_is_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As without a network: nothing has failed, and nothing was tested."""
    guest_run(monkeypatch, NOT_RUN)
    only_guests(monkeypatch)
    with pytest.raises(InfrastructureError, match="NOT RUN: of the guest tests none ran") as caught:
        check.check()
    assert "--without-guests" in caught.value.hint
    said = capsys.readouterr()
    assert "guest tests: NOT RUN" in said.err
    assert "put x there" in said.out
    # What failed comes first.
    monkeypatch.setattr(
        check, "steps", lambda _, **_how: (Step("one", python("raise SystemExit(1)")),)
    )
    with pytest.raises(TestsFailedError):
        check.check()


def test_check_that_is_to_run_no_guest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {}

    def step(name: str) -> Callable[..., StepResult]:
        def take(*_: object, **how: bool) -> StepResult:
            asked[name] = how
            return StepResult(MODULE, Counts(passed=1), 0.0, "")

        return take

    for name in (*STEPS, "guest_tests"):
        monkeypatch.setattr(check, name, step(name))
    monkeypatch.setattr(check, "steps", lambda _, **_how: (Step("one", python("")),))
    check.check(guests=False)
    assert asked == {
        "documents": {},
        "module_builds": {},
        "other_configurations": {"guests": False},
        "quick_canaries": {"guests": False},
    }
    *_, counted, said = capsys.readouterr().out.splitlines()
    assert (counted, said) == (
        "5 passed, 0 failed, 0 skipped",
        "without guests, as was asked for: none of the guest tests was run",
    )
    with pytest.raises(UserError, match="--without-guests runs no guest"):
        check.check(require=["linux-2.2.12"], guests=False)


def test_what_is_required_and_not_there_is_not_the_tests_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guest_run(monkeypatch, NOT_RUN)
    only_guests(monkeypatch)
    with pytest.raises(InfrastructureError):
        check.check(require=["linux-2.2.12"])


def test_module_that_is_required_and_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    module_built(monkeypatch, {"linux-6.12": UnavailableError("no network")})
    assert check.module_builds([], ["linux-6.12"]).family is InfrastructureError


def test_guest_that_was_lost_is_what_check_ends_with(monkeypatch: pytest.MonkeyPatch) -> None:
    guest_run(monkeypatch, (*GOOD, GuestLost(variant="base", test="t::a", message="panic")))
    only_guests(monkeypatch)
    with pytest.raises(GuestError):
        check.check()


def test_continuous_integration_requires_the_kernel_of_its_host() -> None:
    words = (paths.ROOT / ".ci" / "run").read_text().splitlines()[-1].split()
    assert words == ["exec", "./inv", "setup", "check", "--require", HOST_KERNEL, "</dev/null"]


def test_fast_runs_no_guest_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def told(_folder: Path, *, fast: bool) -> tuple[Step, ...]:
        asked.append(fast)
        return (Step("one", python("")),)

    monkeypatch.setattr(check, "steps", told)
    for name in (*STEPS, "guest_tests"):
        monkeypatch.setattr(check, name, None)
    check.check(fast=True)
    assert asked == [True]
    *_, counted, said = capsys.readouterr().out.splitlines()
    assert (counted, "without guests" in said) == ("1 passed, 0 failed, 0 skipped", True)
    # Nothing that is required can be taken for tested.
    with pytest.raises(UserError, match="--fast runs no guest"):
        check.check(require=["linux-2.2.12"], fast=True)


def test_fresh_room_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh, "for_check", lambda: fresh.Checked(failed=1, output="E: no bc"))
    result = check.fresh_room([], [])
    assert (result.counts, result.output) == (Counts(failed=1), "E: no bc")
    monkeypatch.setattr(fresh, "for_check", lambda: fresh.Checked(skipped=1, note="no unshare"))
    result = check.fresh_room([], [])
    assert (result.counts, result.note) == (Counts(skipped=1), "no unshare")


def bench_run(
    monkeypatch: pytest.MonkeyPatch, lacking: str = "", error: HarnessError | None = None
) -> list[bench.Request]:
    """Let all be measured but the rows of a kernel, or the benchmark end with an error."""
    asked = []

    def run(request: bench.Request, _plan: object, folder: Path) -> bench.Run:
        asked.append(request)
        if error:
            raise error
        rows = [row for row in request.rows if row.variant.kernel != lacking]
        sample = measurement.Sample(1.0, 1.0, (1.0, 1.0, 1.0))
        return bench.Run(request, {row: [sample] for row in rows}, {}, {}, {})

    monkeypatch.setattr(bench, "run", run)
    monkeypatch.setattr(session, "new_folder", Path)
    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "12", "bookworm"))
    return asked


def test_each_way_of_the_benchmark_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = bench_run(monkeypatch)
    result = check.benchmark(["linux-2.2.12=/x"], [])
    (request,) = asked
    assert (request.rounds, request.given) == (1, ("linux-2.2.12=/x",))
    assert {row.variant.name for row in request.rows} == {"base", "linux-6.1:base"}
    for wires in ("cards", "memory"):
        ways = {row.way for row in request.rows if row.datagram.wires == wires}
        assert ways == set(plan.load().ways)
    assert result.counts == Counts(passed=len(request.rows))


def test_benchmark_without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = bench_run(monkeypatch, lacking="linux-2.2.12")
    result = check.benchmark([], [])
    lacking = [row for row in asked[0].rows if row.variant.kernel == "linux-2.2.12"]
    assert lacking
    assert result.counts.skipped == len(lacking)
    assert (result.counts.passed, result.counts.failed) == (len(asked[0].rows) - len(lacking), 0)
    asked = bench_run(monkeypatch, error=MissingSourceError("no archive"))
    result = check.benchmark([], [])
    assert result.counts == Counts(skipped=len(asked[0].rows))


def test_benchmark_that_loses_a_packet_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    bench_run(monkeypatch, error=GuestError("1 datagram was lost"))
    result = check.benchmark([], [])
    assert result.counts == Counts(failed=1)
    assert "1 datagram was lost" in result.output


def sampled(monkeypatch: pytest.MonkeyPatch, outcome: mutate.Sampled | HarnessError) -> StepResult:
    """The step of the mutants, on a host of bookworm."""
    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "12", "bookworm"))

    def sample(count: int, seed: int, kernel: str, given: object) -> mutate.Sampled:
        assert (count, kernel) == (check.MUTANTS, "linux-6.1")
        if isinstance(outcome, HarnessError):
            raise outcome
        return replace(outcome, seed=seed)

    monkeypatch.setattr(mutate, "sample", sample)
    return check.sampled_mutants([], [])


def test_mutant_that_no_test_kills_any_more_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    edit = Edit("module", "module/x.c", 1, ("a",), ("b",))
    drawn = tuple(Mutant(name, "module", edit) for name in ("one", "two"))
    good = sampled(monkeypatch, mutate.Sampled(0, drawn, (), ()))
    assert (good.counts, good.output) == (Counts(passed=2), "")
    assert "2 drawn by the seed " in good.note
    bad = sampled(monkeypatch, mutate.Sampled(0, drawn, (), ("one: not seen",)))
    assert bad.counts == Counts(passed=1, failed=1)
    assert "one: not seen" in bad.output


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (UnavailableError("no network"), Counts(skipped=check.MUTANTS)),
        (InfrastructureError("no compiler"), Counts(unbuilt=1)),
        (UserError("runs in this checkout already"), Counts(failed=1)),
    ],
)
def test_mutants_that_cannot_be_tried(
    monkeypatch: pytest.MonkeyPatch, error: HarnessError, counts: Counts
) -> None:
    assert sampled(monkeypatch, error).counts == counts


def test_unknown_kernel_cannot_be_required() -> None:
    with pytest.raises(UserError, match=r"--require linux-1\.0: there is no such kernel"):
        check.check(require=["linux-1.0"])


def module_built(monkeypatch: pytest.MonkeyPatch, lacking: dict[str, HarnessError]) -> None:
    """Let the module build for all kernels but those named, on bookworm."""

    def headers(kernel: Kernel) -> Headers:
        if kernel.name in lacking:
            raise lacking[kernel.name]
        return Headers(kernel.name, Path("/none"), "", 0.0)

    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "12", "bookworm"))
    monkeypatch.setattr(debiankernel, "headers", headers)
    monkeypatch.setattr(module, "build", lambda _: None)
    monkeypatch.setattr(packages, "listed", lambda *_: "6.1.176-1")


def test_module_is_built_for_the_kernels_of_this_release(monkeypatch: pytest.MonkeyPatch) -> None:
    module_built(monkeypatch, {})
    assert check.module_builds([], []).counts == Counts(passed=6)
    module_built(monkeypatch, {"linux-6.12": UnavailableError("no network")})
    result = check.module_builds([], [])
    assert result.counts == Counts(passed=5, skipped=1)
    assert "linux-6.12 was NOT BUILT.\nno network" in result.note
    assert check.module_builds([], ["linux-6.12"]).counts == Counts(passed=5, failed=1)


def test_newer_kernel_in_a_suite_of_this_release_is_told_of_and_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module_built(monkeypatch, {})
    known = suites.load().suites
    monkeypatch.setattr(packages, "listed", lambda _name, _kind, suite: known[suite])
    assert check.module_builds([], []).note == ""
    monkeypatch.setattr(packages, "listed", lambda *_: "9.9.1-1")
    result = check.module_builds([], [])
    assert result.counts == Counts(passed=6)
    ours, backports = result.note.splitlines()
    assert ours.startswith("bookworm has 9.9.1-1 today, and the data is of ")
    assert backports.startswith("bookworm-backports has 9.9.1-1 today")


def test_module_that_does_not_build_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    module_built(monkeypatch, {"linux-6.1": InfrastructureError("chains.c:1: error: x")})
    result = check.module_builds([], [])
    assert result.counts == Counts(passed=5, failed=1)
    assert "chains.c:1" in result.output


def test_each_way_to_use_a_guest_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def step(name: str) -> Callable[..., StepResult]:
        def take(*_: object) -> StepResult:
            taken.append(name)
            return StepResult(MODULE, Counts(), 0.0, "")

        return take

    for name in ("gdb_steps", "tools_steps", "snapshot_steps"):
        monkeypatch.setattr(check, name, step(name))
    for seed in range(3):
        monkeypatch.setattr(checkout, "seed", lambda s=seed: s)
        assert "another time" in check.in_turn([], []).note
    assert sorted(taken) == ["gdb_steps", "snapshot_steps", "tools_steps"]


def test_canaries_take_turns_and_none_is_left_out() -> None:
    rows = canary.select(canary.load(), None, quick=True)
    one, other = ({row.name for row in check.half(rows, seed)} for seed in (4, 7))
    assert not one & other
    assert one | other == {row.name for row in rows}
    assert abs(len(one) - len(other)) <= 1


def test_of_those_that_take_turns_one_is_whole_and_the_others_a_sample() -> None:
    rows = variants.select()
    turns = {row.name for row in rows if row.turn}
    assert len(turns) > 1
    seen = set()
    for seed in range(12):
        names = {row.name for row in guestruns.whole(rows, seed)}
        (own,) = names & turns
        seen.add(own)
        # All that take no turns are there each time.
        assert names - turns == {row.name for row in rows if row.checked and not row.turn}
    assert seen == turns
    assert all(row.sample for row in rows if row.turn)
