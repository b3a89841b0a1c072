# SPDX-License-Identifier: GPL-2.0-only
"""Which kernels a command line asks for."""

from __future__ import annotations

import itertools

import pytest

from harness import kernels, paths, variants
from harness.errors import UserError

MATRIX = ["base", "passthrough", "defrag", "passthrough+defrag"]


def _names(variant: str | None = None, matrix: str | None = None) -> list[str]:
    return [row.name for row in variants.select(variant, matrix)]


@pytest.mark.parametrize(
    ("variant", "matrix", "names"),
    [
        (None, None, ["stock", "off", *MATRIX]),
        ("stock", None, ["stock"]),
        ("defrag, base", None, ["base", "defrag"]),
        ("base,base", None, ["base"]),
        ("passthrough+defrag", None, ["passthrough+defrag"]),
        (None, "passthrough,defrag", MATRIX),
        (None, "defrag,passthrough", MATRIX),
        (None, "defrag", ["base", "defrag"]),
        (None, "defrag,defrag", ["base", "defrag"]),
        ("stock", "passthrough", ["stock", "base", "passthrough"]),
    ],
)
def test_select(variant: str | None, matrix: str | None, names: list[str]) -> None:
    assert _names(variant, matrix) == names


@pytest.mark.parametrize(
    ("variant", "matrix", "says"),
    [
        ("bsae", None, "did you mean base"),
        ("zzz", None, "known: stock, off, base, passthrough, defrag"),
        (None, "passthru", "did you mean passthrough"),
        (None, "base", "known: defrag, passthrough"),
        ("", None, "--variant names nothing"),
        (None, " , ", "--matrix names nothing"),
    ],
)
def test_unknown(variant: str | None, matrix: str | None, says: str) -> None:
    with pytest.raises(UserError) as caught:
        variants.select(variant, matrix)
    assert says in str(caught.value)


def test_named() -> None:
    assert variants.named("off").fragments == ()
    with pytest.raises(UserError, match="there is no variant of"):
        variants.named("of")


def test_every_combination_of_the_options_is_a_variant() -> None:
    rows = variants.load().values()
    options = sorted({option for row in rows for option in row.options})
    assert options == ["defrag", "passthrough"]
    for size in range(1, len(options) + 1):
        for chosen in itertools.combinations(options, size):
            assert len(variants.select(matrix=",".join(chosen))) == 2**size


def test_the_fragments_and_parts_are_there() -> None:
    for row in variants.load().values():
        for fragment in row.fragments:
            assert (paths.KERNEL_CONFIG / f"{fragment}.config").is_file()
        for part in row.series:
            assert (paths.PATCHES / "linux-2.2.12" / part).is_dir()


def test_variants_of_a_kernel_that_has_to_be_named() -> None:
    assert not [row for row in variants.select() if row.kernel != kernels.REFERENCE]
    names = [row.name for row in variants.select(kernel="linux-6.1")]
    assert names == [f"linux-6.1:{name}" for name in ("stock", *MATRIX)]
    assert [row.name for row in variants.select("base", kernel="linux-6.1")] == ["linux-6.1:base"]
    assert [row.name for row in variants.select("linux-6.1:base,off")] == ["off", "linux-6.1:base"]
    both = variants.select(matrix="defrag", kernel="linux-2.2.12,linux-6.1")
    assert [row.name for row in both] == ["base", "defrag", "linux-6.1:base", "linux-6.1:defrag"]
    with pytest.raises(UserError, match="there is no variant off"):
        variants.select("off", kernel="linux-6.1")
    with pytest.raises(UserError, match="there is no kernel linux-6"):
        variants.select(kernel="linux-6")
