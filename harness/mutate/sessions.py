# SPDX-License-Identifier: GPL-2.0-only
"""A mutation run: each mutant is built and tested until a test sees it, or all have passed."""

from __future__ import annotations

import dataclasses
import re
import shutil
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from harness.base import fingerprint, paths, terminal
from harness.base.errors import InfrastructureError, NoRoomError, UnavailableError
from harness.image import image
from harness.image.image import Image
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.matrix import statements, variants
from harness.matrix.variants import Variant
from harness.mutate import build, edit
from harness.mutate import result as mutate_result
from harness.mutate.mutants import Mutant
from harness.mutate.result import Memory, Result, Verdict
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

# Below build/: a folder a run, and what is kept from run to run.
FOLDER = "mutations"


@dataclasses.dataclass
class _Attempt:
    """A mutant under test: the variants still to try, and what the session of now says."""

    mutant: Mutant
    fingerprint: str
    waiting: deque[str]
    first: tuple[str, ...]
    variant: str = ""
    began: float = 0.0
    seconds: float = 0.0
    running: str = ""
    killer: str = ""
    message: str = ""
    passed: int = 0
    status: int | None = None

    @property
    def session(self) -> str:
        """The name of its session on the variant of now: it tells whose an event is."""
        name = re.sub(r"[^\w.+-]+", "_", self.mutant.name)
        return f"{name}@{self.variant}"


class Run:
    """One mutation run; what is known already is not done again."""

    def __init__(
        self, folder: Path, memory: Memory, *, jobs: int, quick: bool, given: tuple[str, ...]
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
        self._trees: dict[str, build.Tree] = {}
        self._image: Image | None = None
        self._ready: deque[_Attempt] = deque()
        self._sessions: dict[str, _Attempt] = {}

    def all(self, mutants: Sequence[Mutant], chosen: Collection[str]) -> None:
        """Do all of them, on those of their variants that are among `chosen`."""
        proofs = worker.collect(paths.GUEST_TESTS)
        common = mutate_result.inputs(self._given)
        for mutant in mutants:
            names = [name for name in mutant.variants if name in chosen]
            key = fingerprint.of_bytes(common, mutant.fingerprint, *names)
            known = self._memory.known(mutant.name, key)
            if known is not None:
                self.results[mutant.name] = known
                continue
            variant, test = self._memory.killer(mutant.name)
            names.sort(key=lambda name: name != variant)
            if self._quick:
                del names[1:]
            first = mutant.order(proofs, test)
            self._ready.append(_Attempt(mutant, key, deque(names), first))
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
            try:
                spec = self._build(attempt)
            except build.DoesNotBuildError as error:
                attempt.message = error.message
                self._conclude(attempt, Verdict.UNBUILT)
                continue
            except build.SameError as error:
                attempt.message = error.message
                self._unseen(attempt)
                continue
            except UnavailableError:
                raise
            except InfrastructureError as error:
                # Without the mutant it does not build either: that says nothing of the mutant.
                self.not_run.setdefault(attempt.variant, str(error))
                terminal.say(f"{attempt.mutant.name}: not run, {attempt.variant} does not build")
                continue
            self._sessions[spec.variant] = attempt
            yield spec

    def _build(self, attempt: _Attempt) -> WorkerSpec:
        mutant = attempt.mutant
        variant = variants.named(attempt.variant)
        folder = self._folder / attempt.session
        series = folder / "patches"
        folder.mkdir()
        edit.write(mutant.edit, paths.PATCHES, series)
        if mutant.source == kernel.SOURCE:
            tree = self._tree(variant)
            built = tree.build(mutant.edit, folder / "kernel", f"mutant {mutant.name}")
            guest_image = self._plain_image()
        else:
            built = kernel.build(variant, given=self._given)
            guest_image = build.build_image(series, self._given)
        spec = self._spec(attempt.session, variant, built, guest_image)
        return dataclasses.replace(
            spec, first=attempt.first, rest=not self._quick, stop=True, patches=str(series)
        )

    def _tree(self, variant: Variant) -> build.Tree:
        if variant.name not in self._trees:
            folder = paths.BUILD / FOLDER / "trees" / variant.name
            self._trees[variant.name] = build.Tree(variant, folder, self._given)
        return self._trees[variant.name]

    def _plain_image(self) -> Image:
        if self._image is None:
            self._image = image.build(given=self._given)
        return self._image

    def _spec(
        self, session: str, variant: Variant, built: Kernel, guest_image: Image
    ) -> WorkerSpec:
        return WorkerSpec(
            variant=session,
            has=tuple(sorted(statements.features(variant))),
            folder=str(self._folder / session),
            events="",
            seed=0,
            keep=False,
            bzimage=str(built.bzimage),
            objects=str(built.objects),
            initrd=str(guest_image.initrd),
            private_key=str(guest_image.private_key),
            host_key=str(guest_image.host_key),
            given=self._given,
        )

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
            self._unseen(attempt)

    def _tidy(self, session: str) -> None:
        for name in ("kernel", "patches"):
            shutil.rmtree(self._folder / session / name, ignore_errors=True)

    def _unseen(self, attempt: _Attempt) -> None:
        """No test of its session has failed, or there was none to run."""
        if attempt.waiting:
            attempt.passed, attempt.status, attempt.running = 0, None, ""
            self._ready.appendleft(attempt)
        else:
            self._conclude(attempt, Verdict.UNSEEN if self._quick else Verdict.SURVIVED)

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
        if verdict in (Verdict.KILLED, Verdict.SURVIVED):
            self._memory.remember(result)
        by = f" by {result.test.rpartition('/')[2]} on {result.variant}" if result.test else ""
        terminal.say(f"{result.name}: {verdict.value}{by} in {result.seconds:.1f} s")

    def _confirm(self) -> None:
        """See that the tests which killed pass without a mutant: else they killed nothing."""
        new = [r for r in self.results.values() if r.verdict is Verdict.KILLED and not r.confirmed]
        killers: defaultdict[str, set[str]] = defaultdict(set)
        for result in new:
            killers[result.variant].add(result.test)
        passing = {name: self._passing(variants.named(name), killers[name]) for name in killers}
        for result in new:
            passes = result.test in passing[result.variant]
            confirmed = dataclasses.replace(
                result, verdict=Verdict.KILLED if passes else Verdict.VOID, confirmed=True
            )
            self.results[result.name] = confirmed
            self._memory.remember(confirmed)

    def _passing(self, variant: Variant, tests: set[str]) -> set[str]:
        """Those of `tests` that pass on the kernel without a mutant."""
        built = kernel.build(variant, given=self._given)
        session = f"control@{variant.name}"
        spec = self._spec(session, variant, built, self._plain_image())
        passed: set[str] = set()

        def hear(event: Event) -> None:
            if isinstance(event, TestFinished) and event.outcome == "passed":
                passed.add(event.test)

        workerpool.run(
            [dataclasses.replace(spec, first=tuple(sorted(tests)), rest=False)],
            paths.GUEST_TESTS,
            "",
            jobs=1,
            on_event=hear,
            on_trouble=lambda _, what: terminal.say(f"{session}: the session {what}"),
        )
        return passed
