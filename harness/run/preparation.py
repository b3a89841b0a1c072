# SPDX-License-Identifier: GPL-2.0-only
"""What comes before the tests of a run: the rest is built, and what is not there is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from harness.base.errors import InfrastructureError, NoRoomError, UnavailableError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.matrix import availability, kernels
from harness.matrix.availability import Upstream
from harness.matrix.kernels import Kernel
from harness.matrix.variants import Variant
from harness.record.events import (
    Event,
    ImageBuilt,
    KernelBuilt,
    NotBuilt,
    NotRun,
    SourceMissing,
    TestsOwed,
    VariantSelected,
)
from harness.run.request import Request
from harness.run.worker import WorkerSpec
from harness.upstream import releases, sources

OnEvent = Callable[[Event], None]


def prepare(request: Request, folder: Path, on_event: OnEvent) -> list[WorkerSpec]:
    """Build all that can be had and built, a session for each variant; of the rest, tell why not.

    What cannot be had takes its kernel, and so does an image that does not build; any other build
    that breaks takes its variant. Raises UserError for a mistake in the request.
    """
    wanted = {variant.kernel for variant in request.variants}
    rows = [row for row in kernels.load().values() if row.name in wanted]
    found = availability.look(request.given)
    missed: set[str] = set()
    for variant in request.variants:
        lacks = found.lacks(variant)
        missed |= set(lacks.values())
        on_event(
            VariantSelected(
                variant=variant.name, kernel=variant.kernel, has=found.has(variant), lacks=lacks
            )
        )
        own = request.owed.get(variant.name, {})
        owed = tuple(test for test, needs in own.items() if lacks.keys().isdisjoint(needs))
        on_event(TestsOwed(variant=variant.name, tests=owed))
    for name, source in releases.load().items():
        if name in missed:
            on_event(
                SourceMissing(
                    name=name,
                    title=source.title,
                    instead=source.instead,
                    hint=sources.place(source),
                )
            )
    return [
        _spec(built, request, folder, found)
        for row in rows
        for built in _built(row, request, on_event, found)
    ]


def _built(row: Kernel, request: Request, on_event: OnEvent, found: Upstream) -> list[Bootable]:
    """What the chosen variants of one kernel boot."""
    chosen = [variant for variant in request.variants if variant.kernel == row.name]
    try:
        found.require(row)
        return list(_each(row, chosen, request, on_event, found))
    except NoRoomError:
        # It is the run's folder that takes no more: nothing more can be told.
        raise
    except UnavailableError as error:
        on_event(NotRun(kernel=row.name, reason=str(error)))
    except InfrastructureError as error:
        names = tuple(variant.name for variant in chosen)
        on_event(NotBuilt(name=row.name, variants=names, reason=str(error)))
    return []


def _each(
    row: Kernel,
    chosen: list[Variant],
    request: Request,
    on_event: OnEvent,
    found: Upstream,
) -> Iterator[Bootable]:
    userland = bootable.userland(row, request.given, found.missing)
    on_event(ImageBuilt(seconds=userland.seconds, cached=userland.cached))
    for variant in chosen:
        try:
            built = userland.boot(variant)
            if request.tools:
                built = built.with_tools()
        except UnavailableError:
            raise
        except InfrastructureError as error:
            on_event(NotBuilt(name=variant.name, variants=(variant.name,), reason=str(error)))
            continue
        on_event(KernelBuilt(variant=variant.name, seconds=built.seconds, cached=built.cached))
        yield built


def _spec(built: Bootable, request: Request, folder: Path, found: Upstream) -> WorkerSpec:
    name = built.variant.name
    only: tuple[str, ...] = ()
    modules = request.modules
    if request.shard is not None:
        only = request.shard.share[name]
        modules = tuple(sorted({test.partition("::")[0] for test in only}))
    return WorkerSpec.of(
        built,
        found,
        folder / name,
        request.given,
        long=request.long_on(name),
        events="",
        seed=request.seed,
        keep=request.keep,
        modules=modules,
        only=only,
        statements=request.selected.statements,
        own=request.selected.own,
        traced=request.traced.get(name, ""),
    )
