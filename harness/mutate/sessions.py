# SPDX-License-Identifier: GPL-2.0-only
"""A mutation run: each mutant is built and tested until a test sees it, or all have passed."""

from __future__ import annotations

import re
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.base import fingerprint, paths, terminal
from harness.base.errors import InfrastructureError, NoRoomError, UnavailableError
from harness.mutate import build, subset
from harness.mutate import result as mutate_result
from harness.mutate.mutants import Mutant
from harness.mutate.programs import Programs
from harness.mutate.result import Memory, Result, Verdict
from harness.mutate.subset import NOTHING, Coverage
from harness.record.events import (
    Event,
    GuestLost,
    HarnessBroken,
    NoRoom,
    SessionFinished,
    TestFinished,
    TestStarted,
)
from harness.run import worker, workerpool
from harness.run.worker import WorkerSpec

# So many of the tests that run its lines a mutant is shown, if it is to be quick.
QUICK_TESTS = 40
# So much of a name is a session's.
_NAME = 80


@dataclass
class _Attempt:
    """A mutant under test: the variants still to try, and what the session of now says.

    `before` is the test that killed it in an earlier run; `outcomes` are those of the variants that
    have been tried.
    """

    mutant: Mutant
    fingerprint: str
    waiting: deque[str]
    before: str = ""
    variant: str = ""
    began: float = 0.0
    seconds: float = 0.0
    running: str = ""
    killer: str = ""
    message: str = ""
    passed: int = 0
    status: int | None = None
    outcomes: set[Verdict] = field(default_factory=set)

    @property
    def session(self) -> str:
        """The name of its session on the variant of now: it tells whose an event is."""
        name = re.sub(r"[^\w.+-]+", "_", self.mutant.name)
        if self.mutant.fault:
            # It may be long, and differ from another's in signs alone.
            name = f"{name[:_NAME]}-{fingerprint.of_bytes(self.mutant.name)[:8]}"
        return f"{name}@{self.variant}"


class Run:
    """One mutation run; what is known already is not done again."""

    def __init__(
        self,
        folder: Path,
        memory: Memory,
        *,
        jobs: int,
        quick: bool,
        given: tuple[str, ...],
        coverage: Coverage = NOTHING,
    ) -> None:
        self.results: dict[str, Result] = {}
        # Why some mutants have no result: a variant that does not build without one, by its name;
        # a session that did not come to its end, by the mutant's.
        self.not_run: dict[str, str] = {}
        self._folder = folder
        self._memory = memory
        self._jobs = jobs
        self._quick = quick
        self._given = given
        self._coverage = coverage
        self._programs = Programs(folder, given)
        self._proofs: dict[str, tuple[str, ...]] = {}
        self._ready: deque[_Attempt] = deque()
        self._sessions: dict[str, _Attempt] = {}

    def all(self, mutants: Sequence[Mutant], chosen: Collection[str]) -> None:
        """Do all of them, on those of their variants that are among `chosen`."""
        self._proofs = worker.collect(paths.GUEST_TESTS)
        common = mutate_result.inputs(self._given)
        for mutant in mutants:
            names = [name for name in mutant.variants if name in chosen]
            key = fingerprint.of_bytes(common[mutant.source], mutant.fingerprint, *names)
            known = self._memory.known(mutant.name, key)
            if known is not None:
                self.results[mutant.name] = known
                continue
            variant, test = self._memory.killer(mutant.name)
            names.sort(key=lambda name: name != variant)
            if self._quick:
                del names[1:]
            self._ready.append(_Attempt(mutant, key, deque(names), test))
        while self._ready:
            workerpool.run(
                self._specs(),
                paths.GUEST_TESTS,
                "",
                jobs=self._jobs,
                on_event=self._hear,
                on_trouble=self._trouble,
            )
        self._confirm()

    def _specs(self) -> Iterator[WorkerSpec]:
        """The next session of a mutant that is ready for one, built when it is asked for."""
        while self._ready:
            attempt = self._ready.popleft()
            attempt.variant = attempt.waiting.popleft()
            attempt.began = time.monotonic()
            tests = self._tests(attempt)
            if tests is None:
                self._unseen(attempt, Verdict.UNCOVERED)
                continue
            first, rest = tests
            if not first and not rest:
                self._unseen(attempt, Verdict.UNSEEN)
                continue
            try:
                spec = self._programs.of(attempt.mutant, attempt.variant, attempt.session)
            except build.DoesNotBuildError as error:
                attempt.message = error.message
                self._conclude(attempt, Verdict.UNBUILT)
                continue
            except build.SameError as error:
                attempt.message = error.message
                self._unseen(attempt, Verdict.SAME)
                continue
            except UnavailableError:
                raise
            except InfrastructureError as error:
                # Without the mutant it does not build either: that says nothing of the mutant.
                self.not_run.setdefault(attempt.variant, str(error))
                terminal.say(f"{attempt.mutant.name}: not run, {attempt.variant} does not build")
                continue
            self._sessions[spec.variant] = attempt
            modules = () if rest else _modules(first)
            yield replace(spec, first=first, rest=rest, stop=True, modules=modules)

    def _tests(self, attempt: _Attempt) -> tuple[tuple[str, ...], bool] | None:
        """The tests that a mutant is shown first, and whether all others are to come behind them:
        not, where it is known which run its lines. None if it is known that none does.
        """
        mutant = attempt.mutant
        tests = mutant.order(self._proofs, attempt.before)
        covering = self._coverage.of(mutant, attempt.variant, self._proofs)
        if covering is None:
            rest = not self._quick
        elif not covering:
            return None
        else:
            mixed = subset.mixed(covering, tests)
            killer = [attempt.before] if attempt.before in self._proofs else []
            tests, rest = tuple(dict.fromkeys([*killer, *mixed])), False
        return (tests[:QUICK_TESTS] if self._quick and mutant.fault else tests), rest

    def _hear(self, event: Event) -> None:
        attempt = self._sessions.get(getattr(event, "variant", ""))
        if attempt is None:
            return
        match event:
            case TestStarted():
                attempt.running = event.test
            case TestFinished(outcome="failed") if not attempt.killer:
                attempt.killer, attempt.message = event.test, event.message
            case TestFinished(outcome="passed"):
                attempt.passed += 1
            case GuestLost() if not attempt.killer:
                attempt.killer, attempt.message = event.test, event.message
            case NoRoom():
                raise NoRoomError(*event.message.split("\n", 1))
            case HarnessBroken():
                raise InfrastructureError(*event.message.split("\n", 1))
            case SessionFinished():
                attempt.status = event.status
                self._ended(attempt, event.variant)

    def _trouble(self, spec: WorkerSpec, what: str) -> None:
        """A session died or said nothing more, which no test has seen: that is no verdict.

        A guest that a mutant has hung is seen by the test that was running.
        """
        what = f"the session of {spec.variant} {what}"
        terminal.say(what)
        attempt = self._sessions.pop(spec.variant, None)
        if attempt is not None:
            self._tidy(spec.variant)
            self.not_run[attempt.mutant.name] = f"{attempt.mutant.name}: not run, {what}"

    def _ended(self, attempt: _Attempt, session: str) -> None:
        del self._sessions[session]
        attempt.seconds += time.monotonic() - attempt.began
        self._tidy(session)
        if attempt.killer:
            self._conclude(attempt, Verdict.KILLED)
        elif not self._quick and (attempt.status != 0 or not attempt.passed):
            log = self._folder / session / "pytest.log"
            raise InfrastructureError(f"no test ran on {session}", f"pytest's output: {log}")
        else:
            self._unseen(attempt, Verdict.UNSEEN if self._quick else Verdict.SURVIVED)

    def _tidy(self, session: str) -> None:
        for name in ("kernel", "patches"):
            shutil.rmtree(self._folder / session / name, ignore_errors=True)

    def _unseen(self, attempt: _Attempt, outcome: Verdict) -> None:
        """No test of its session has failed, or there was none to run."""
        attempt.outcomes.add(outcome)
        if attempt.waiting:
            attempt.passed, attempt.status, attempt.running = 0, None, ""
            self._ready.appendleft(attempt)
            return
        # Of several variants, the one that says most.
        said = (Verdict.SURVIVED, Verdict.UNSEEN, Verdict.UNCOVERED, Verdict.SAME)
        self._conclude(attempt, next(each for each in said if each in attempt.outcomes))

    def _conclude(self, attempt: _Attempt, verdict: Verdict) -> None:
        result = Result(
            name=attempt.mutant.name,
            verdict=verdict,
            seconds=round(attempt.seconds, 1),
            fingerprint=attempt.fingerprint,
            test=attempt.killer,
            variant=attempt.variant if attempt.killer else "",
            message=attempt.message,
        )
        self.results[result.name] = result
        if verdict in (Verdict.KILLED, Verdict.SURVIVED, Verdict.SAME, Verdict.UNBUILT):
            self._memory.remember(result)
        by = f" by {result.test.rpartition('/')[2]} on {result.variant}" if result.test else ""
        terminal.say(f"{result.name}: {verdict.value}{by} in {result.seconds:.1f} s")

    def _confirm(self) -> None:
        """See that the tests which killed pass without a mutant: else they killed nothing."""
        new = [r for r in self.results.values() if r.verdict is Verdict.KILLED and not r.confirmed]
        killers: defaultdict[str, set[str]] = defaultdict(set)
        for result in new:
            killers[result.variant].add(result.test)
        passing = {name: self._passing(name, killers[name]) for name in killers}
        for result in new:
            passes = result.test in passing[result.variant]
            confirmed = replace(
                result, verdict=Verdict.KILLED if passes else Verdict.VOID, confirmed=True
            )
            self.results[result.name] = confirmed
            self._memory.remember(confirmed)

    def _passing(self, name: str, tests: set[str]) -> set[str]:
        """Those of `tests` that pass on the kernel without a mutant."""
        session = f"control@{name}"
        spec = self._programs.plain(name, session)
        passed: set[str] = set()

        def hear(event: Event) -> None:
            if isinstance(event, TestFinished) and event.outcome == "passed":
                passed.add(event.test)

        workerpool.run(
            [replace(spec, first=tuple(sorted(tests)), rest=False, modules=_modules(tests))],
            paths.GUEST_TESTS,
            "",
            jobs=1,
            on_event=hear,
            on_trouble=lambda _, what: terminal.say(f"{session}: the session {what}"),
        )
        return passed


def _modules(tests: Iterable[str]) -> tuple[str, ...]:
    """The files that tests are in: a session reads no others."""
    return tuple(sorted({test.partition("::")[0] for test in tests}))
