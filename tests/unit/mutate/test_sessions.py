# SPDX-License-Identifier: GPL-2.0-only
"""A mutation run on a toy suite: killed, survived, unbuilt, void, and what is not done again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.image.image import Image
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.matrix import availability, kernels
from harness.matrix.availability import Upstream
from harness.matrix.variants import Variant
from harness.mutate import build as mutate_build
from harness.mutate import edit as mutate_edit
from harness.mutate import modulebuild, subset, syntax
from harness.mutate.build import DoesNotBuildError, SameError
from harness.mutate.edit import Edit
from harness.mutate.mutants import MODULE, Mutant
from harness.mutate.result import Memory, Result, Verdict
from harness.mutate.sessions import Run
from harness.mutate.subset import NOTHING, Coverage
from harness.record import linecoverage
from harness.record.linecoverage import LineCoverage, Source
from harness.run import workerpool
from tests.unit.support import toysuite

pytestmark = pytest.mark.slow

# The "kernel" is the mutant's new text, in the place of bzImage; a test reads it.
TESTS = """
import pathlib
def has(session, fault):
    path = pathlib.Path(session.spec.bzimage)
    return path.is_file() and fault in path.read_text()

@S1
def test_one(guest, divert_session):
    assert not has(divert_session, "fault one")

@pytest.mark.statement("S3/byte-order")
def test_two(guest, divert_session):
    if has(divert_session, "crash"):
        guest.crashed = True
    if has(divert_session, "die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if has(divert_session, "sleep"):
        signal.pause()

@pytest.mark.statement("S4/in-use")
def test_flaky(guest, divert_session):
    assert not divert_session.spec.variant.startswith(("flaky", "control"))
    # What it boots, whatever the session's name.
    assert divert_session.spec.row in ("base", "defrag", "linux-6.1:base")
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Result]]:
    """Runs mutants, given by name, new text and the statement broken, on a toy suite."""
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(mutate_edit, "write", lambda *_: None)
    monkeypatch.setattr(paths, "GUEST_TESTS", toysuite.make(tmp_path, TESTS))
    nothing = tmp_path / "nothing"
    plain_image = Image(nothing, nothing, nothing, seconds=0.0, cached=True)

    def plain(variant: Variant, *_: object) -> Bootable:
        if variant.name == "off":
            raise InfrastructureError("x.c:1: error")
        row = kernels.named(variant.kernel)
        return Bootable(row, variant, nothing, plain_image, seconds=0.0, cached=True)

    monkeypatch.setattr(bootable, "build", plain)
    monkeypatch.setattr(availability, "look", lambda *_: Upstream())

    def built(variant: Variant, bzimage: Path) -> Kernel:
        rest = (nothing, nothing, nothing)
        return Kernel(variant, tmp_path, bzimage, *rest, seconds=0.0, cached=True)

    class Tree:
        def __init__(self, variant: Variant, *_: object) -> None:
            self.variant = variant

        def build(self, edit: Edit, folder: Path, what: str) -> Kernel:
            if "nonsense" in edit.new:
                raise DoesNotBuildError(f"{what} does not compile")
            if "same" in edit.new:
                raise SameError(f"{what} makes no other kernel")
            folder.mkdir(parents=True)
            (folder / "bzImage").write_text("".join(edit.new))
            return built(self.variant, folder / "bzImage")

    monkeypatch.setattr(mutate_build, "Tree", Tree)

    class ModuleTree:
        def __init__(self, *_: object) -> None:
            pass

        def build(self, edit: Edit, built: Bootable, folder: Path, what: str) -> Bootable:
            if "same" in edit.new:
                raise SameError(f"{what} makes no other module")
            folder.mkdir(parents=True)
            (folder / "bzImage").write_text("".join(edit.new))
            return replace(built, bzimage=folder / "bzImage")

    monkeypatch.setattr(modulebuild, "ModuleTree", ModuleTree)
    times: list[int] = []

    def do(
        *mutants: tuple[str, str] | Mutant,
        chosen: Sequence[str] = ("base", "defrag", "linux-6.1:base"),
        quick: bool = False,
        coverage: Coverage = NOTHING,
    ) -> dict[str, Result]:
        times.append(1)
        folder = tmp_path / f"run{len(times)}"
        folder.mkdir()
        memory = Memory(tmp_path / "known.json")
        done = Run(folder, memory, jobs=2, quick=quick, given=(), coverage=coverage)
        rows = [row if isinstance(row, Mutant) else mutant(*row) for row in mutants]
        done.all(rows, chosen)
        not_run.update(done.not_run)
        return done.results

    return do


# Of the last test: why mutants have no result.
not_run: dict[str, str] = {}


def mutant(name: str, new: str, breaks: str = "S1") -> Mutant:
    edit = Edit("part", "file.c", 1, ("old",), (new,))
    variants = ("off",) if name == "on-off" else ("base", "defrag")
    return Mutant(name, kernel.SOURCE, edit, breaks=(breaks,), variants=variants)


def test_verdicts(run: Callable[..., dict[str, Result]]) -> None:
    results = run(
        ("seen", "fault one"),
        ("unseen", "fault three"),
        ("crashing", "crash"),
        ("unbuilt", "nonsense"),
        ("flaky", "fault three"),
        ("same", "same"),
    )
    assert {name: row.verdict for name, row in results.items()} == {
        "seen": Verdict.KILLED,
        "unseen": Verdict.SURVIVED,
        "crashing": Verdict.KILLED,
        "unbuilt": Verdict.UNBUILT,
        "flaky": Verdict.VOID,
        "same": Verdict.SAME,
    }
    killers = {name: (row.test.rpartition("::")[2], row.variant) for name, row in results.items()}
    assert killers["seen"] == ("test_one", "base")
    assert killers["crashing"] == ("test_two", "base")
    assert killers["unseen"] == ("", "")
    assert "kernel panic: toy" in results["crashing"].message
    assert results["seen"].confirmed


def test_known_results_are_not_found_anew(run: Callable[..., dict[str, Result]]) -> None:
    first = run(("seen", "fault one"), ("unseen", "fault three"))
    again = run(("seen", "fault one"), ("unseen", "fault three"), ("new", "fault one"))
    assert {name: again[name] for name in first} == first
    assert again["new"].verdict is Verdict.KILLED
    # Another text is another mutant.
    assert run(("seen", "fault three"))["seen"].verdict is Verdict.SURVIVED


def test_quick_leaves_it_at_the_statements_that_it_breaks(
    run: Callable[..., dict[str, Result]],
) -> None:
    rows = [("elsewhere", "fault one", "S3"), ("here", "fault one", "S1"), ("no", "", "C5")]
    results = run(*rows, quick=True)
    verdicts = {name: row.verdict for name, row in results.items()}
    unseen = Verdict.UNSEEN
    assert verdicts == {"elsewhere": unseen, "here": Verdict.KILLED, "no": unseen}
    # Not to have been seen by a few is not remembered.
    assert run(rows[0])["elsewhere"].verdict is Verdict.KILLED


def test_variant_that_does_not_build_without_a_mutant_takes_no_other(
    run: Callable[..., dict[str, Result]],
) -> None:
    not_run.clear()
    results = run(("seen", "fault one"), ("on-off", "fault one"), chosen=("base", "off"))
    assert {name: row.verdict for name, row in results.items()} == {"seen": Verdict.KILLED}
    assert not_run == {"off": "x.c:1: error"}


def test_session_that_dies_kills_no_mutant(run: Callable[..., dict[str, Result]]) -> None:
    """No test has seen it; and the other mutants are tried."""
    not_run.clear()
    results = run(("dying", "die"), ("seen", "fault one"), chosen=("base",))
    assert {name: row.verdict for name, row in results.items()} == {"seen": Verdict.KILLED}
    assert "SIGKILL" in not_run["dying"]


def test_session_that_says_nothing_kills_no_mutant(
    run: Callable[..., dict[str, Result]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test of another host's kernels takes minutes on a busy one."""
    monkeypatch.setattr(workerpool, "run", functools.partial(workerpool.run, silence=2.0))
    not_run.clear()
    assert run(("silent", "sleep"), chosen=("base",)) == {}
    assert "said nothing for 2 s" in not_run["silent"]


def test_variants_are_narrowed(run: Callable[..., dict[str, Result]]) -> None:
    assert run(("seen", "fault one"), chosen=("defrag",))["seen"].variant == "defrag"


C = b"int f(int x)\n{\n\tif (x)\n\t\tg();\n\th();\n\treturn 1;\n}\n"
FILE = "module/socket/x.c"
ONE, TWO, FLAKY = (f"test_toy.py::test_{name}" for name in ("one", "two", "flaky"))


def of_module(text: str, new: str) -> Mutant:
    """A mutant of the module: the fault in C that is named by a text, and what its "kernel" has."""
    fault = next(row for row in syntax.faults(FILE, C) if row.text == text)
    edit = Edit(MODULE, FILE, fault.first, fault.old, (new,))
    return Mutant(fault.name, MODULE, edit, variants=("linux-6.1:base",), fault=fault)


def told(ran: dict[int, tuple[str, ...]], *more: str) -> Coverage:
    """That these tests ran these lines of C, on the module's kernel, and `more` none of them."""
    names = sorted({name for row in ran.values() for name in row} | {*more})
    tests = tuple(linecoverage.Test("linux-6.1:base", name, 1.0) for name in names)
    places = {line: tuple(map(names.index, row)) for line, row in ran.items()}
    source = Source(linecoverage.digest(C), frozenset({3, 4, 5, 6}), places)
    return Coverage((LineCoverage(tests, {"linux-6.1": {FILE: source}}),))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module's file."""
    file = tmp_path / "x.c"
    file.write_bytes(C)
    monkeypatch.setattr(subset, "path_of", lambda _: file)
    return file


def test_mutant_of_the_module_is_shown_to_the_tests_that_run_its_lines(
    run: Callable[..., dict[str, Result]], source: Path
) -> None:
    coverage = told({3: (ONE, TWO), 5: (TWO,), 6: (ONE,)}, FLAKY)
    named = {
        text: of_module(text, "same" if text == "return 1" else "fault one")
        for text in ("x", "g()", "h()", "return 1")
    }
    verdicts = {
        text: run(mutant, coverage=coverage)[mutant.name].verdict for text, mutant in named.items()
    }
    assert verdicts == {
        "x": Verdict.KILLED,
        # No test runs the line: nothing is built.
        "g()": Verdict.UNCOVERED,
        # The one that would see it does not run the line.
        "h()": Verdict.SURVIVED,
        "return 1": Verdict.SAME,
    }


def test_coverage_of_another_source_says_nothing(
    run: Callable[..., dict[str, Result]], source: Path
) -> None:
    coverage = told({3: (TWO,)}, ONE, FLAKY)
    mutant = of_module("h()", "fault one")
    source.write_bytes(b"/* */" + C)
    assert run(mutant, coverage=coverage)[mutant.name].test == ONE


def test_new_test_is_asked_too(run: Callable[..., dict[str, Result]], source: Path) -> None:
    mutant = of_module("h()", "fault one")
    assert run(mutant, coverage=told({5: (TWO,)}))[mutant.name].test == ONE


def test_quick_without_a_word_of_what_it_breaks_says_only_that(
    run: Callable[..., dict[str, Result]], source: Path
) -> None:
    mutant = of_module("h()", "fault one")
    assert run(mutant, quick=True)[mutant.name].verdict is Verdict.UNSEEN
