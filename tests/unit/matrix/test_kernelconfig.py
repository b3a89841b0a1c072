# SPDX-License-Identifier: GPL-2.0-only
"""Configurations: composed, resolved by a toy tree, and every option looked up in the result."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.matrix import kernelconfig, variants
from harness.matrix.kernelconfig import Option, Unmet

# Drops TWO unless ONE is set, as CML1 does with what depends on something, and asks for NEW.
OLDCONFIG = """\
grep -q '^CONFIG_ONE=y' .config || sed -i 's/^CONFIG_TWO=y/# CONFIG_TWO is not set/' .config
grep -q CONFIG_NEW .config || {
    echo 'A new thing (CONFIG_NEW) [N/y/?] (NEW) '
    echo '# CONFIG_NEW is not set' >>.config
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel-config of the test's own, with a base and one fragment."""
    config = tmp_path / "kernel-config"
    config.mkdir()
    (config / "base.config").write_text(
        '# Why.\nCONFIG_ONE=y\n# CONFIG_TWO is not set\nCONFIG_COUNT=256\nCONFIG_S="a b"\n'
        "# CONFIG_NEW is not set\n\n"
    )
    (config / "two.config").write_text("CONFIG_TWO=y\n")
    monkeypatch.setattr(paths, "KERNEL_CONFIG", config)
    return config


def _resolve(tmp_path: Path, fragments: list[str]) -> dict[str, str]:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "oldconfig").write_text(OLDCONFIG)
    asked = kernelconfig.compose(fragments)
    kernelconfig.resolve(asked, tree, ["sh", "oldconfig"], tmp_path / "log")
    return kernelconfig.parse((tree / ".config").read_text())


def test_compose(folder: Path) -> None:
    assert kernelconfig.compose(["two"]) == (
        Option("CONFIG_COUNT", "256", "base.config"),
        Option("CONFIG_NEW", "n", "base.config"),
        Option("CONFIG_ONE", "y", "base.config"),
        Option("CONFIG_S", '"a b"', "base.config"),
        Option("CONFIG_TWO", "y", "two.config"),
    )


def test_there_and_back(folder: Path) -> None:
    options = kernelconfig.compose([])
    text = kernelconfig.dump(options)
    assert "# CONFIG_TWO is not set\n" in text
    assert kernelconfig.parse(text) == {option.symbol: option.value for option in options}


def test_resolved(folder: Path, tmp_path: Path) -> None:
    assert _resolve(tmp_path, ["two"])["CONFIG_TWO"] == "y"


def test_an_option_that_did_not_take_effect_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "without.config").write_text("# CONFIG_ONE is not set\n")
    with pytest.raises(InfrastructureError) as caught:
        _resolve(tmp_path, ["without", "two"])
    assert "CONFIG_TWO=y (two.config) came out as n" in caught.value.message
    assert "CONFIG_ONE" not in caught.value.message


def test_a_question_that_is_not_answered_is_named(folder: Path, tmp_path: Path) -> None:
    (folder / "base.config").write_text("CONFIG_ONE=y\n")
    with pytest.raises(InfrastructureError, match="does not answer: CONFIG_NEW"):
        _resolve(tmp_path, [])


def test_what_is_not_there_is_not_set() -> None:
    on, off = Option("CONFIG_A", "y", "a.config"), Option("CONFIG_B", "n", "b.config")
    assert kernelconfig.unmet([on, off], {}) == (Unmet(on, "n"),)
    assert kernelconfig.unmet([on, off], {"CONFIG_A": "m", "CONFIG_B": "y"}) == (
        Unmet(on, "m"),
        Unmet(off, "y"),
    )


def test_bad_files(folder: Path) -> None:
    with pytest.raises(InfrastructureError, match=r"cannot read .*nowhere\.config"):
        kernelconfig.compose(["nowhere"])
    (folder / "two.config").write_text("# Why.\nCONFIG TWO\n")
    with pytest.raises(InfrastructureError, match=r"two\.config:2: not an option: CONFIG TWO"):
        kernelconfig.compose(["two"])


def test_the_repositorys_fragments_change_what_the_base_answers() -> None:
    base = {option.symbol for option in kernelconfig.compose([])}
    for row in variants.load().values():
        composed = kernelconfig.compose(row.fragments)
        assert {option.symbol for option in composed} == base
