# SPDX-License-Identifier: GPL-2.0-only
"""What a find needs: its sequence without the steps, and the words, that make no difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from harness.model.steps import Step

T = TypeVar("T")
# Words that a rule or a packet can do without, with what belongs to them.
_OPTIONAL = ("size=", "tos=", "cut=")
_OPTIONS = ("-i", "-p", "-s", "-d", "-t", "-m", "--sport", "--dport", "-f", "-y")
_FLAGS = ("-f", "-y")


def smallest(steps: list[Step], fails: Callable[[list[Step]], bool]) -> list[Step]:
    """The steps without those that are not needed; `fails` says whether some still do.

    First without halves of them, then without ever smaller parts (Zeller's ddmin), then without
    words.
    """
    steps = _without_parts(steps, fails)
    again = True
    while again:
        again = False
        for at, step in enumerate(steps):
            for simpler in _simpler(step):
                shorter = [*steps[:at], simpler, *steps[at + 1 :]]
                if fails(shorter):
                    steps, again = shorter, True
                    break
    return steps


def _without_parts(steps: list[T], fails: Callable[[list[T]], bool]) -> list[T]:
    size = max(1, len(steps) // 2)
    while True:
        at = 0
        while at < len(steps):
            shorter = steps[:at] + steps[at + size :]
            if fails(shorter):
                steps = shorter
            else:
                at += size
        if size == 1:
            return steps
        size = max(1, size // 2)


def _simpler(step: Step) -> Iterator[Step]:
    words = step.words
    for at, word in enumerate(words):
        if word in _OPTIONS:
            begin = at - (at > 0 and words[at - 1] == "!")
            end = at + (1 if word in _FLAGS else 2)
            yield Step(step.verb, (*words[:begin], *words[end:]))
        elif word.startswith(_OPTIONAL):
            yield Step(step.verb, (*words[:at], *words[at + 1 :]))
