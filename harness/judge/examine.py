# SPDX-License-Identifier: GPL-2.0-only
"""Rounds of random sequences, drawn by hypothesis from a seed; a find comes out of them shrunk."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from harness.judge import find, shrink
from harness.judge.course import Course
from harness.judge.find import FindError
from harness.model.steps import RESET, Step

# A sequence of so many steps takes a tenth of a second, and a round some seconds.
STEPS = 40
SEQUENCES = 20
SHRINK_SECONDS = 60.0
# Behind so many of the sequences before it a find is tried again, if it does not come by itself.
BEFORE = 16


@dataclass
class Examination:
    """What is asked of one guest, or of two.

    `course` begins a sequence; `machine` makes a state machine of it. `sequences` counts them, and
    `answers` what came of their steps, as Course does.
    """

    course: Callable[[], Course]
    machine: type[RuleBasedStateMachine]
    sequences: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    # Those of the sequence that is under way.
    last: list[Step] = field(default_factory=list)
    # Those of the last sequences, that one too.
    _all: deque[list[Step]] = field(default_factory=lambda: deque(maxlen=BEFORE + 1))

    @property
    def steps(self) -> int:
        """How many steps were done in all."""
        return self.answers.total()

    def round(self, number: int, sequences: int = SEQUENCES) -> None:
        """Sequences of this seed. Raises FindError, its steps shrunk."""
        found: list[FindError] = []

        class Machine(self.machine):  # type: ignore[name-defined,misc]
            """Draws from this examination's guest."""

            begin = staticmethod(self._begin)
            found_by = found

        chosen = settings(
            max_examples=sequences,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            report_multiple_bugs=False,
            # It would make each sequence hundreds of times; `shrink` knows what steps are.
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        try:
            run_state_machine_as_test(seed(number)(Machine), settings=chosen)
        except (FindError, Flaky, BaseExceptionGroup):
            if not found:
                raise
            raise self.shrunk(found[0]) from None

    def _begin(self) -> Course:
        self.sequences += 1
        course = self.course()
        course.answers = self.answers
        course.before = list(self._all)[-BEFORE:]
        self.last = course.steps
        self._all.append(course.steps)
        return course

    def do(self, steps: Sequence[Step]) -> None:
        """These steps. Raises FindError, all of them with it.

        Behind a RESET comes another sequence, on the same guests, put back.
        """
        done: list[Step] = []
        for sequence in _sequences(steps):
            try:
                self._begin().all_of(sequence)
            except FindError as error:
                raise FindError(error.message, [*done, *error.steps]) from None
            done += [*sequence, RESET]

    def try_kept(self) -> None:
        """What was once a find. Raises FindError."""
        for name, steps in find.kept().items():
            try:
                self.do(steps)
            except FindError as error:
                raise FindError(f"{error.message}\n(kept as {name})", error.steps) from None

    def shrunk(self, error: FindError) -> FindError:
        """The same find, or another one that is left of it, with as few steps as can be.

        As few as are found in SHRINK_SECONDS. What does not come again by itself is tried behind
        the sequences before it, too: if one has left something in a guest of which `Stage` knows
        nothing, it is told so, and not shrunk, for each attempt would leave it again.
        """
        last = [error]
        end = time.monotonic() + SHRINK_SECONDS

        def fails(steps: list[Step]) -> bool:
            if time.monotonic() > end:
                return False
            try:
                self.do(steps)
            except FindError as smaller:
                last.append(smaller)
                return True
            return False

        if not fails(error.steps):
            return self._left_behind(error, fails)
        shrink.smallest(error.steps, fails)
        # The last that failed is what is left.
        return last[-1]

    @staticmethod
    def _left_behind(error: FindError, fails: Callable[[list[Step]], bool]) -> FindError:
        """The find with as many of the sequences before it as make it come again."""
        count = 1
        while count < 2 * len(error.before):
            steps = [each for one in error.before[-count:] for each in (*one, RESET)]
            if fails([*steps, *error.steps]):
                when = f"only behind the sequences before it, of which there are {count} here"
                return FindError(f"{error.message}\n({when})", [*steps, *error.steps])
            count *= 2
        return FindError(f"{error.message}\n(once, and not again)", error.steps)


def _sequences(steps: Sequence[Step]) -> Iterator[list[Step]]:
    rest = list(steps)
    while RESET in rest:
        at = rest.index(RESET)
        yield rest[:at]
        rest = rest[at + 1 :]
    yield rest
