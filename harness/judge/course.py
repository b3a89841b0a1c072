# SPDX-License-Identifier: GPL-2.0-only
"""A sequence of steps that is under way: what both judges' have in common."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Iterable, Sequence

from harness.judge.find import FindError
from harness.model.host import Host
from harness.model.steps import Foreteller, Step
from harness.model.traits import Traits


class Course(abc.ABC):
    """One sequence, on stages that have been reset.

    `name` is that of what is judged. `model` says which steps fit by now. `answers` counts what
    came of steps: "read success", "bind EINVAL". `before` are those before it.
    Each `do` raises FindError at once.
    """

    def __init__(self, name: str, traits: Traits, host: Host | None = None) -> None:
        self.name = name
        self.model = Foreteller(host or Host(traits))
        self.steps: list[Step] = []
        self.before: Sequence[list[Step]] = ()
        self.answers: Counter[str] = Counter()

    @property
    def host(self) -> Host:
        """What the model knows by now."""
        return self.model.host

    @abc.abstractmethod
    def do(self, step: Step) -> None:
        """Do a step, and compare what came of it."""

    @abc.abstractmethod
    def end(self) -> None:
        """Compare what all rules and policies have counted."""

    @abc.abstractmethod
    def full(self) -> list[str]:
        """The sockets that have something to read."""

    def all_of(self, steps: Sequence[Step]) -> None:
        """Do those of these steps that can be done, and the last look."""
        for step in steps:
            if self.model.fits(step):
                self.do(step)
        self.end()

    def begun(self, step: Step) -> None:
        """Note that a step is to be done: the guest may not survive it."""
        self.steps.append(step)

    def answered(self, step: Step, answer: str) -> None:
        """Note with what answer: errno's name, or ""."""
        self.answers[f"{step.verb} {answer or 'success'}"] += 1

    def require_none(self, differences: Iterable[str], step: Step | None) -> None:
        """Raise FindError if there are differences, after this step or at the end."""
        if found := [f"  {line}" for line in differences]:
            where = f"step {len(self.steps)}, `{step}`" if step else "the counters at the end"
            message = "\n".join([f"{self.name}: {where}:", *found])
            raise FindError(message, self.steps, self.before)
