# SPDX-License-Identifier: GPL-2.0-only
"""What comes before the tests of a run: what cannot be had is told, the rest is built."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness import bootable, kernels, statements
from harness.errors import UnavailableError
from harness.events import Event, ImageBuilt, KernelBuilt, NotRun, VariantSelected
from harness.kernels import Kernel
from harness.request import Request
from harness.variants import Variant
from harness.worker import WorkerSpec

# What a guest of any kernel has only where upstream's archives are at hand.
_UPSTREAM = frozenset({"ipchains", "reference-headers"})


def prepare(request: Request, folder: Path, on_event: Callable[[Event], None]) -> list[WorkerSpec]:
    """Build all that can be had, a session for each variant; of a kernel that cannot, tell why.

    Raises InfrastructureError if something does not build.
    """
    wanted = {variant.kernel for variant in request.variants}
    rows = [row for row in kernels.load().values() if row.name in wanted]
    missing = bootable.missing(request.given)
    for variant in request.variants:
        has = _has(variant, upstream=not missing)
        on_event(VariantSelected(variant=variant.name, kernel=variant.kernel, has=has))
    specs: list[WorkerSpec] = []
    for row in rows:
        if row.sources and missing:
            on_event(NotRun(kernel=row.name, reason="\n".join(map(str, missing))))
            continue
        try:
            specs += _build(row, request, folder, on_event, upstream=not missing)
        except UnavailableError as error:
            on_event(NotRun(kernel=row.name, reason=str(error)))
    return specs


def _has(variant: Variant, *, upstream: bool) -> tuple[str, ...]:
    has = statements.features(variant)
    return tuple(sorted(has if upstream else has - _UPSTREAM))


def _build(
    row: Kernel,
    request: Request,
    folder: Path,
    on_event: Callable[[Event], None],
    *,
    upstream: bool,
) -> list[WorkerSpec]:
    """Build what the chosen variants of one kernel boot."""
    userland = bootable.userland(row, request.given, upstream=upstream)
    on_event(ImageBuilt(seconds=userland.seconds, cached=userland.cached))
    specs = []
    for variant in request.variants:
        if variant.kernel != row.name:
            continue
        built = userland.boot(variant)
        on_event(KernelBuilt(variant=variant.name, seconds=built.seconds, cached=built.cached))
        specs.append(
            WorkerSpec(
                variant=variant.name,
                has=_has(variant, upstream=upstream),
                folder=str(folder / variant.name),
                events="",
                seed=request.seed,
                keep=request.keep,
                bzimage=str(built.kernel_for(long=request.long)),
                objects=str(built.objects or ""),
                initrd=str(built.image.initrd),
                private_key=str(built.image.private_key),
                host_key=str(built.image.host_key),
                given=request.given,
                modules=request.modules,
                kernel=row.name,
                processors=variant.processors,
            )
        )
    return specs
