# SPDX-License-Identifier: GPL-2.0-only
"""What a benchmark builds before it measures: what breaks or is missing takes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.bench import bench, plan
from harness.image import image
from harness.kernel import kernel
from harness.kernel.kernel import Kernel
from harness.matrix import variants
from harness.matrix.variants import Variant
from tests.unit.support.toybuilds import Builds, archives

MODERN = "linux-6.1"


@pytest.fixture(name="builds", autouse=True)
def _builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(tmp_path, monkeypatch)


def built() -> tuple[list[str], bench.Run]:
    """The variants that could be built, of four, and what is told of the rest."""
    names = ("base", "defrag", f"{MODERN}:base", f"{MODERN}:stock")
    rows = plan.measurements(plan.load(), [variants.named(name) for name in names])
    done = bench.Run(bench.Request(rows, 1, 0.1), {}, {}, {}, {})
    return [variant.name for variant, _ in bench._build(done.request, done)], done


def test_what_does_not_build_takes_no_other(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives("linux-2.2.12.tar.gz", "ipchains-1.3.9.tar.gz")

    def broken(variant: Variant, *, given: tuple[str, ...]) -> Kernel:
        if variant.name == "base":
            raise InfrastructureError("x.c:1: error")
        return builds.kernel(variant, given=given)

    monkeypatch.setattr(kernel, "build", broken)
    names, done = built()
    assert set(names) == {"defrag", f"{MODERN}:base", f"{MODERN}:stock"}
    assert (done.not_built, done.not_run) == ({"base": "x.c:1: error"}, {})


def test_image_that_does_not_build_takes_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    archives("linux-2.2.12.tar.gz")

    def broken(**_: object) -> None:
        raise InfrastructureError("no part")

    monkeypatch.setattr(image, "build", broken)
    names, done = built()
    assert set(names) == {f"{MODERN}:base", f"{MODERN}:stock"}
    assert done.not_built == {"linux-2.2.12": "no part"}


def test_what_is_missing_takes_its_kernel() -> None:
    names, done = built()
    assert set(names) == {f"{MODERN}:base", f"{MODERN}:stock"}
    assert list(done.not_run) == ["linux-2.2.12"]
    assert not done.not_built
