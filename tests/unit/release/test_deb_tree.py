# SPDX-License-Identifier: GPL-2.0-only
"""The files of a package: where they go, and that nothing of this machine is in them."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.kernel import module
from harness.release import deb_recipe, deb_tree
from harness.release.deb_recipe import Files, Recipe, Release

RELEASE = Release("1.5", 86400)
RECIPES = {recipe.name: recipe for recipe in deb_recipe.load()}
PLAIN = Recipe("one", "m", "all", "net", "s", ("d",), {})


@pytest.fixture(name="strict")
def _strict() -> Iterator[None]:
    """A user whose files nobody else may read."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def below(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def test_source_is_all_that_the_tested_module_is_made_of(tmp_path: Path) -> None:
    deb_tree.lay_out(tmp_path, RECIPES["divert-dkms"], RELEASE, {})
    folder = tmp_path / "usr/src/divert-1.5"
    sources = {str(path.relative_to(module.SOURCE)) for path in module.sources()}
    assert below(folder) == sources | {"dkms.conf"}
    for name in sources:
        assert (folder / name).read_bytes() == (module.SOURCE / name).read_bytes()


def test_what_a_build_has_left_is_not_packed(tmp_path: Path) -> None:
    for name in ("main.c", "divert.mod.c", "main.o"):
        (tmp_path / name).touch()
    found = deb_tree.matched(Files(tmp_path, ("**/*.c",), ""))
    assert found == [tmp_path / "main.c"]


def test_a_pattern_without_files(tmp_path: Path) -> None:
    (tmp_path / "a.c").touch()
    with pytest.raises(InfrastructureError, match=r"packs \*\.h of .*, and there is none"):
        deb_tree.matched(Files(tmp_path, ("*.c", "*.h"), ""))


def test_headers_are_in_a_folder_of_their_own(tmp_path: Path) -> None:
    """Beside linux-libc-dev and libc6-dev, which have linux/ and netinet/ in /usr/include."""
    deb_tree.lay_out(tmp_path, RECIPES["divert-dev"], RELEASE, {})
    headers = {name for name in below(tmp_path) if name.startswith("usr/include")}
    own = paths.ROOT / "module" / "include"
    assert headers == {f"usr/include/divert/{name}" for name in below(own)}
    assert {"usr/include/divert/linux/divert.h", "usr/include/divert/linux/ip_fw.h"} <= headers
    assert "Version: 1.5\n" in (tmp_path / "usr/share/pkgconfig/divert.pc").read_text()


def test_programs_and_manuals(tmp_path: Path, strict: None) -> None:
    program = tmp_path / "compiled"
    program.write_bytes(b"\x7fELF")
    root = tmp_path / "root"
    deb_tree.lay_out(root, RECIPES["divert-tools"], RELEASE, {"ipchains": program})
    assert (root / "usr/sbin/ipchains").read_bytes() == b"\x7fELF"
    for name in ("ipchains", "divert"):
        assert (root / "usr/sbin" / name).stat().st_mode & 0o7777 == 0o755
    page = root / "usr/share/man/man8/ipchains.8.gz"
    assert page.stat().st_mode & 0o7777 == 0o644
    assert b'1970-01-02 "divert 1.5"' in gzip.decompress(page.read_bytes())
    # Neither the time nor a name is in it.
    assert page.read_bytes()[3:8] == bytes(5)
    assert {"copyright", "changelog.gz"} <= below(root / "usr/share/doc/divert-tools")


def test_scripts_say_their_version(tmp_path: Path, strict: None) -> None:
    deb_tree.lay_out(tmp_path, PLAIN, RELEASE, {})
    recipe = replace(RECIPES["divert-dkms"], files=(), manuals=())
    deb_tree.add_control(tmp_path, recipe, RELEASE, "Package: x\n")
    control = tmp_path / "DEBIAN"
    assert below(control) == {"control", "md5sums", "postinst", "prerm"}
    for name in ("postinst", "prerm"):
        text = (control / name).read_text()
        assert " 1.5" in text
        assert "@" not in text
        assert (control / name).stat().st_mode & 0o7777 == 0o755
    changelog = "usr/share/doc/one/changelog.gz"
    sum_ = hashlib.md5((tmp_path / changelog).read_bytes()).hexdigest()
    lines = (control / "md5sums").read_text().splitlines()
    assert f"{sum_}  {changelog}" in lines
    assert len(lines) == 2


def test_modes_and_times_are_the_same_for_everybody(tmp_path: Path, strict: None) -> None:
    deb_tree.lay_out(tmp_path, PLAIN, RELEASE, {})
    deb_tree.settle(tmp_path, RELEASE)
    for path in [tmp_path, *tmp_path.rglob("*")]:
        mode = 0o755 if path.is_dir() else 0o644
        assert path.stat().st_mode & 0o7777 == mode
        assert path.stat().st_mtime == RELEASE.time


def test_size_is_counted_as_debian_counts_it(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    for name, length in (("a/empty", 0), ("a/one", 1), ("a/b/two", 1025)):
        (tmp_path / name).write_bytes(bytes(length))
    assert deb_tree.size(tmp_path) == 2 + 0 + 1 + 2
