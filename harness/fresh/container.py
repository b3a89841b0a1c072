# SPDX-License-Identifier: GPL-2.0-only
"""The image of Containerfile, built and run in a room as a container engine would."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from harness.debian.namespace import Inside, Outcome
from harness.fresh import checkout, takeover
from harness.fresh.containerfile import Recipe
from harness.fresh.room import VARIABLE, Place


def build(place: Place, recipe: Recipe, log: Path, seconds: float) -> Outcome:
    """Do what the steps of a Containerfile do; the outcome is of the last that was run."""
    outcome = Outcome(0, 0.0)
    total = 0.0
    for step in recipe.steps:
        folder = place.root / step.folder[1:]
        folder.mkdir(parents=True, exist_ok=True)
        if step.instruction == "COPY":
            checkout.clone(folder, 0o022)
            continue
        env = _environment(place, step.environment)
        outcome = place.run_in(
            step.folder,
            step.argument,
            Inside(place.root, place.mounts),
            log=log,
            seconds=max(1.0, seconds - total),
            env=env,
        )
        total += outcome.seconds
        if outcome.status != 0:
            break
    return Outcome(outcome.status, total, outcome.late)


def run(place: Place, recipe: Recipe, command: str, *, log: Path, seconds: float) -> Outcome:
    """Run the image by its entry point, as an engine does; the archives are in its volume."""
    return place.run_in(
        recipe.folder,
        command,
        Inside(place.root, place.mounts),
        log=log,
        seconds=seconds,
        env=_environment(place, recipe.environment),
    )


def _environment(place: Place, own: Mapping[str, str]) -> dict[str, str]:
    """What an engine sets, and what the file does; and a room's."""
    kept = (VARIABLE, "PATH", "HOME")
    common = {key: value for key, value in place.environment().items() if key in kept}
    return {**common, **takeover.environment(os.environ), **own}
