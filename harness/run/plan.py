# SPDX-License-Identifier: GPL-2.0-only
"""What a run is going to do, said before it does it, and about how long that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from harness.base import store
from harness.base.errors import HarnessError
from harness.boot import bootable
from harness.image import image
from harness.kernel import kernel, module
from harness.matrix import kernels, statements
from harness.matrix.kernels import Kernel
from harness.matrix.variants import Variant
from harness.run import estimate
from harness.run.request import Request
from harness.upstream import releases, sources

# So many variants are named; more are counted.
_NAMED = 4


@dataclass(frozen=True)
class Plan:
    """What is said first, and how long each variant's session, and all, is expected to take."""

    lines: tuple[str, ...]
    foretold: Mapping[str, float]
    seconds: float | None


@dataclass
class _Work:
    """What of a run is there, what has to be made, and what has to come from elsewhere.

    With each of these, the name by which harness/run/durations.toml knows it.
    """

    cached: list[str] = field(default_factory=list)
    built: dict[str, str] = field(default_factory=dict)
    downloads: dict[str, str] = field(default_factory=dict)

    def look(self, what: str, time: str, size: str, call: Callable[[], object]) -> None:
        """Whether `what` is there, which `call` would build or download."""
        try:
            with store.looking():
                call()
        except store.AbsentError as absent:
            packing = time == estimate.IMAGE and absent.what == image.WHAT
            self.built[what] = estimate.PACKING if packing else time
            if absent.download and absent.what not in self.downloads:
                self.downloads[f"packages for {what}"] = size
        except HarnessError:
            # Where it is really to be had, the same error has its say.
            pass
        else:
            self.cached.append(what)


def foresee(request: Request) -> Plan:
    """Look at what a run of this request needs. Raises nothing: what is wrong, the run tells."""
    chosen = request.variants
    known = estimate.figures(chosen)
    work = _look(request)
    counts = {
        variant.name: _applicable(variant, request.tests_on(variant.name)) for variant in chosen
    }
    foretold = estimate.sessions(known, counts, request.jobs) if request.tests else {}
    lines = [_tests(request)]
    if work.built:
        lines.append(f"to be built: {', '.join(work.built)}")
    if before := [what for what in dict.fromkeys(work.cached) if what not in work.built]:
        lines.append(f"built before: {', '.join(before)}")
    if work.downloads:
        size = sum(known.megabytes.get(costs, 0.0) for costs in set(work.downloads.values()))
        lines.append(
            f"to be downloaded: {', '.join(work.downloads)}; about {max(1, round(size))} MB"
        )
    seconds = None
    if request.tests:
        builds = list(work.built.values())
        seconds = estimate.whole(known, counts, builds, request.jobs)
        besides = ", and the downloads" if work.downloads else ""
        lines.append(f"it takes {estimate.about(seconds)}{besides} ({known.where})")
    return Plan(tuple(lines), foretold, seconds)


def _tests(request: Request) -> str:
    chosen = request.variants
    if len(chosen) <= _NAMED:
        what = ", ".join(variant.name for variant in chosen)
    else:
        of_each = Counter(variant.kernel for variant in chosen)
        what = f"{len(chosen)} variants: " + ", ".join(
            f"{count} of {name}" for name, count in of_each.items()
        )
    if request.shard is not None:
        number = sum(len(own) for own in request.shard.share.values())
        tests = f"shard {request.shard.number} of {request.shard.of}: {number} tests on"
    else:
        tests = f"{len(request.tests)} tests on each of" if request.tests else "tests on"
    guests = min(request.jobs, len(chosen))
    return f"{tests} {what}; {guests} guest{'s' if guests > 1 else ''} at once"


def _applicable(variant: Variant, tests: Mapping[str, tuple[str, ...]]) -> int:
    """How many tests have something to say about a variant."""
    known, has = statements.load(), statements.features(variant)
    return sum(statements.why_skipped(names, has, known) is None for names in tests.values())


def _look(request: Request) -> _Work:
    work = _Work()
    for name, source in releases.load().items():
        try:
            with store.looking():
                sources.locate(source, request.given)
        except store.AbsentError:
            work.downloads[source.title] = name
        except HarnessError:
            pass
    without = sorted(work.downloads.values())
    for row in kernels.load().values():
        variants = [variant for variant in request.variants if variant.kernel == row.name]
        if not variants:
            continue
        userland = partial(bootable.userland, row, request.given, without)
        work.look("the guest image", estimate.IMAGE, estimate.IMAGE, userland)
        if row.sources:
            for each in variants:
                build = partial(kernel.build, each, given=request.given)
                work.look(f"kernel {each.name}", each.name, row.name, build)
        else:
            obtain = partial(_distributed, row, any(each.module for each in variants))
            work.look(f"kernel {row.name}", variants[0].name, row.name, obtain)
    return work


def _distributed(row: Kernel, with_module: bool) -> None:
    found = bootable.distributed(row)
    if with_module:
        module.build(found.headers)
