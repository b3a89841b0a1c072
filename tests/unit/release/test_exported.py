# SPDX-License-Identifier: GPL-2.0-only
"""What was exported is built by its script: which words that gets, and what is kept of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import compiler
from harness.base.errors import InfrastructureError
from harness.kernel import kernel
from harness.matrix import variants
from harness.release import export, exported
from harness.release.export import Exported
from harness.upstream import sources
from tests.unit.support.toy import NAME, Release, pack, release

__all__ = ["release"]

BASE, STOCK = (variants.load()[name] for name in ("base", "stock"))

# Makes an image of what it is asked.
SCRIPT = """\
mkdir -p "$3/linux/arch/i386/boot"
echo "$1 gcc=${GCC-} $(cat "$5")" >"$3/linux/arch/i386/boot/bzImage"
"""


@pytest.fixture(name="made")
def _made(release: Release, monkeypatch: pytest.MonkeyPatch) -> Exported:
    folder = release.root / "export"
    folder.mkdir()
    (folder / export.PATCH_OF_TODAY).write_text("a patch")
    script = release.root / "exported.sh"
    script.write_text(SCRIPT)
    monkeypatch.setattr(exported, "SCRIPT", script)
    monkeypatch.setattr(kernel, "tool_versions", lambda: "tools")
    monkeypatch.setattr(compiler, "name", lambda: "gcc")
    pack(release.downloads / f"{NAME}.tar.gz")
    return Exported(folder, (), ())


def test_its_kernel_is_built_with_the_variants_options_and_kept(
    made: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-Dmine")
    source = sources.obtain(NAME)
    base = exported.kernel_of_today(made, source, BASE)
    text = base.read_text()
    assert text.startswith("of-today gcc= ")
    assert "CONFIG_IP_DIVERT=y" in text
    stock = exported.kernel_of_today(made, source, STOCK)
    assert "CONFIG_IP_DIVERT=y" not in stock.read_text()
    assert exported.kernel_of_today(made, source, BASE) == base
    (made.folder / export.PATCH_OF_TODAY).write_text("another")
    assert exported.kernel_of_today(made, source, BASE) != base


def test_another_compiler_is_named_to_make(made: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "name", lambda: "gcc-13")
    built = exported.kernel_of_today(made, sources.obtain(NAME), BASE)
    assert built.read_text().startswith("of-today gcc=gcc-13 ")


def test_a_step_that_fails_says_why(made: Exported, tmp_path: Path) -> None:
    exported.SCRIPT.write_text("echo the patch does not apply >&2; exit 1\n")
    with pytest.raises(InfrastructureError, match="the patch does not apply"):
        exported.step("digests", made, tmp_path / "work", tmp_path / "log")
    with pytest.raises(InfrastructureError, match="the patch does not apply"):
        exported.kernel_of_today(made, sources.obtain(NAME), BASE)


def test_the_real_script_knows_its_steps_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    made = Exported(tmp_path / "export", (), ())
    with pytest.raises(InfrastructureError, match="no step dance"):
        exported.step("dance", made, tmp_path / "work", tmp_path / "log")
