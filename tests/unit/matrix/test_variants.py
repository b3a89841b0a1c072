# SPDX-License-Identifier: GPL-2.0-only
"""Which kernels a command line asks for."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.debian import packages
from harness.debian.hostrelease import Release
from harness.matrix import kernels, variants
from tests.guest.support import journeyrow

MATRIX = ["base", "passthrough", "defrag", "passthrough+defrag"]
# Those of the matrix of O3; a variant may have others besides.
OPTIONS = ("passthrough", "defrag")


# Hosts with a kernel of their own among ours, with another, and with none.
HOSTS = [
    (Release("debian", "12", "bookworm"), ["linux-6.1"]),
    (Release("debian", "13", "trixie"), ["linux-6.12"]),
    (Release("debian", "", "forky"), ["linux-6.12"]),
    (Release("debian", "", "bookworm", "LMDE 6 (faye)"), ["linux-6.1"]),
    (Release("ubuntu", "24.04", "noble"), ["linux-6.1", "linux-6.12"]),
    (Release("linux", "", ""), ["linux-6.1", "linux-6.12"]),
]


def _of(kernel: str) -> list[str]:
    """All variants of a kernel, as the data has them."""
    return [row.name for row in variants.load().values() if row.kernel == kernel]


def _names(
    variant: str | None = None, matrix: str | None = None, kernel: str | None = None
) -> list[str]:
    return [row.name for row in variants.select(variant, matrix, kernel)]


@pytest.mark.parametrize(
    ("variant", "matrix", "names"),
    [
        (None, None, _of(kernels.REFERENCE)),
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
    assert _names(variant, matrix, kernels.REFERENCE) == names


@pytest.mark.parametrize(("host", "own"), HOSTS)
def test_what_is_meant_on_a_host_where_no_kernel_is_named(
    host: Release, own: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "host_release", lambda: host)
    assert _names() == [name for kernel in (kernels.REFERENCE, *own) for name in _of(kernel)]
    assert _names(matrix="defrag") == [
        *("base", "defrag"),
        *(f"{kernel}:{name}" for kernel in own for name in ("base", "defrag")),
    ]
    # A name is one variant wherever it is typed: reports print it for doing the same again.
    assert _names("base") == ["base"]
    assert _names("linux-6.12:base,stock") == ["stock", "linux-6.12:base"]
    assert _names("base", kernel="linux-6.12") == ["linux-6.12:base"]


@pytest.mark.parametrize(
    ("variant", "matrix", "says"),
    [
        ("bsae", None, "did you mean base"),
        ("zzz", None, "known: stock, off, base, passthrough, defrag"),
        (None, "passthru", "did you mean passthrough"),
        (None, "base", "there is no option base"),
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


def test_every_kernel_has_the_matrix_of_o3() -> None:
    for kernel in kernels.load():
        names = _of(kernel)
        prefix = "" if kernel == kernels.REFERENCE else f"{kernel}:"
        lacking = [name for name in ("stock", *MATRIX) if f"{prefix}{name}" not in names]
        assert not lacking, f"harness/matrix/variants.toml has no {lacking} of {kernel}"
        for size in range(1, len(OPTIONS) + 1):
            for chosen in itertools.combinations(OPTIONS, size):
                found = variants.select(matrix=",".join(chosen), kernel=kernel)
                assert len(found) == 2**size, f"--matrix {','.join(chosen)} on {kernel}: {found}"


def test_the_fragments_and_parts_are_there() -> None:
    for row in variants.load().values():
        for fragment in row.fragments:
            file = paths.KERNEL_CONFIG / f"{fragment}.config"
            assert file.is_file(), f"variant {row.name} names the fragment {fragment}: no {file}"
        for part in row.series:
            folder = paths.PATCHES / "linux-2.2.12" / part
            assert folder.is_dir(), f"variant {row.name} names the series {part}: no {folder}"


def test_variants_of_a_kernel_that_has_to_be_named() -> None:
    assert [row.name for row in variants.select(kernel="linux-6.1")] == _of("linux-6.1")
    assert [row.name for row in variants.select("base", kernel="linux-6.1")] == ["linux-6.1:base"]
    assert [row.name for row in variants.select("linux-6.1:base,off")] == ["off", "linux-6.1:base"]
    both = variants.select(matrix="defrag", kernel="linux-2.2.12,linux-6.1")
    assert [row.name for row in both] == ["base", "defrag", "linux-6.1:base", "linux-6.1:defrag"]
    with pytest.raises(UserError, match="there is no variant off"):
        variants.select("off", kernel="linux-6.1")
    with pytest.raises(UserError, match="there is no kernel linux-6"):
        variants.select(kernel="linux-6")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            '[second]\nfragments = ["divert"]\noptions = []\n',
            "3: second.options: base and second have the same, and --matrix means one of them",
        ),
        (
            '["*:second"]\nmodule = true\noptions = ["defrag"]\n',
            '3: "*:second".options: linux-6.1:defrag and linux-6.1:second have',
        ),
        (
            '["linux-6.1:base"]\noptions = ["mmsg"]\n',
            '1: "linux-6.1:base": linux-6.1:base is',
        ),
        (
            '["linux-6.0:base"]\noptions = []\n',
            '1: "linux-6.0:base": linux-6.0 is not known, did',
        ),
        ("[second]\noption = []\n", "2: second.option: no such key, did you mean options? known: "),
        ("[second]\nfragments = []\n", "1: second: lacks options"),
        ('[second]\noptions = "defrag"\n', "2: second.options: expected list, got string"),
        (
            '[second]\noptions = ["defarg"]\n',
            "2: second.options: defarg is not known, did you",
        ),
        (
            '[second]\nfragments = [\n"divert",\n"dfrag"]\noptions = []\n',
            "4: second.fragments[2]: dfrag is not known, did you mean defrag? known: base, ",
        ),
        (
            '[second]\nseries = ["diverts"]\noptions = []\n',
            "2: second.series[1]: diverts is not known, did you mean divert? known:",
        ),
        (
            "[second]\nprocessors = 0\noptions = []\n",
            "2: second.processors: a machine has",
        ),
    ],
)
def test_row_that_cannot_be_meant(
    row: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second one with the options of `base` would take its place in --matrix without a word."""
    there = (paths.ROOT / variants.DATA.where).read_text()
    before = len(there.splitlines()) + 1
    file = tmp_path / "variants.toml"
    file.write_text(f"{there}\n{row}")
    monkeypatch.setattr(variants.DATA, "where", str(file))
    with pytest.raises(UserError) as caught:
        variants.load()
    line, _, told = says.partition(":")
    assert f"variants.toml:{int(line) + before}:{told}" in caught.value.message


def test_variant_of_one_kernel_of_a_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "variants.toml"
    file.write_text('[base]\noptions = []\n["linux-6.12:base"]\nmodule = true\noptions = []\n')
    monkeypatch.setattr(variants.DATA, "where", str(file))
    assert [(row.name, row.kernel) for row in variants.load().values()] == [
        ("base", "linux-2.2.12"),
        ("linux-6.12:base", "linux-6.12"),
    ]


def test_machine_of_a_variant() -> None:
    known = variants.load()
    assert known["linux-6.1:smp"].hardware.processors == 2
    one = known["linux-6.1:base"].hardware
    assert one == kernels.named("linux-6.1").hardware
    assert one.processors == 1


def test_each_word_of_a_sample_is_of_some_test() -> None:
    """A file of tests, or a row of the journeys: what was renamed would be left out in silence."""
    files = {path.stem for path in paths.GUEST_TESTS.rglob("test_*.py")}
    rows = {row.name for row in journeyrow.table()}
    samples = {row.sample for row in variants.load().values() if row.sample}
    words = {word for sample in samples for word in sample.split(" or ")}
    assert words - files - rows == set()
    assert words & rows, "journeys, where datagrams are put together"
