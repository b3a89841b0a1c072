# SPDX-License-Identifier: GPL-2.0-only
"""The packages as data: what the file says, what it may not say, and version and date."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.image import guestprograms
from harness.release import deb_recipe, deb_tree
from tests.unit.support.toml import toml

DKMS = paths.ROOT / "module" / "dkms.conf"
ROW = {"architecture": "all", "section": "net", "summary": "s", "description": ["d"]}


def file(row: Mapping[str, Any], folder: Path) -> Path:
    """A file with one package."""
    path = folder / "packages.toml"
    path.write_text(f'maintainer = "Me <me@example.org>"\npackage.one = {toml(row)}\n')
    return path


def parsed(folder: Path, **row: Any) -> deb_recipe.Recipe:
    return deb_recipe.load(file(ROW | row, folder))[0]


def test_file_names_what_is_there() -> None:
    recipes = {recipe.name: recipe for recipe in deb_recipe.load()}
    assert set(recipes) == {"divert-dkms", "divert-dev", "divert-tools"}
    known = {program.name for program in guestprograms.load()}
    manuals: list[str] = []
    for recipe in recipes.values():
        # A package for all machines has no program for one.
        assert (recipe.architecture == "amd64") == bool(recipe.programs)
        assert {source for _, source in recipe.programs} <= known
        for files in recipe.files:
            assert deb_tree.matched(files)
        manuals += recipe.manuals
        for script in recipe.scripts:
            assert (deb_recipe.FOLDER / f"{recipe.name}.{script}").is_file()
        # lintian's rules for a summary.
        assert len(recipe.summary) < 80
        assert not re.match(r"(?i)(a|an|the) |.*\.$", recipe.summary)
    assert sorted(manuals) == sorted(path.name for path in (deb_recipe.FOLDER / "man").iterdir())


def test_no_program_is_without_a_manual() -> None:
    for recipe in deb_recipe.load():
        names = {*(name for name, _ in recipe.programs), *recipe.commands}
        assert names <= {manual.partition(".")[0] for manual in recipe.manuals}


def test_version_is_that_of_dkms() -> None:
    version = deb_recipe.release().version
    assert f'PACKAGE_VERSION="{version}"' in DKMS.read_text().splitlines()
    assert f'version = "{version}"' in (paths.ROOT / "pyproject.toml").read_text().splitlines()
    changes = (paths.ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## {re.escape(version)}(,|$)", changes, re.MULTILINE)


def test_what_a_row_says(tmp_path: Path) -> None:
    recipe = parsed(
        tmp_path,
        depends=["a", "b (>= 1)"],
        files=[{"from": "module", "names": ["*.c"], "to": "x"}],
        programs={"ipchains": "rules"},
    )
    assert recipe.relations == {"Depends": ("a", "b (>= 1)")}
    assert recipe.files == (deb_recipe.Files(paths.ROOT / "module", ("*.c",), "x"),)
    assert recipe.programs == (("ipchains", "rules"),)
    assert recipe.maintainer == "Me <me@example.org>"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"colour": "red"}, r"one\.colour: no such key; known: architecture"),
        ({"manuals": "x.8"}, r"one\.manuals: expected list, got string"),
        ({"architecture": "amd46"}, r"one\.architecture: amd46 is not known, did you mean amd64"),
        ({"files": [{"from": "module", "to": "x"}]}, r"one\.files\[1\]: lacks names"),
        (
            {"files": [{"from": "modul", "to": "x", "names": []}]},
            r"one\.files\[1\]\.from: there is no modul",
        ),
        ({"manuals": ["divert.5"]}, r"one\.manuals\[1\]: divert\.5 is not known, did you mean"),
        ({"scripts": ["postint"]}, r"one\.scripts\[1\]: there is no one\.postint"),
        (
            {"programs": {"ipchains": "rule"}},
            r"one\.programs\.ipchains: rule is not known, did",
        ),
    ],
)
def test_what_a_row_may_not_say(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"packages\.toml:2: package\.{said}"):
        parsed(tmp_path, **row)


@pytest.mark.parametrize("key", list(ROW))
def test_what_a_row_has_to_say(key: str, tmp_path: Path) -> None:
    row = {k: v for k, v in ROW.items() if k != key}
    with pytest.raises(UserError, match=rf":2: package\.one: lacks {key}"):
        deb_recipe.load(file(row, tmp_path))


def test_a_changelog_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb_recipe, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="cannot use"):
        deb_recipe.release()


ENTRY = "x (2.1) unstable; urgency=low\n\n  * y\n\n -- Me <me@example.org>  {date}\n\n"


def test_newest_entry_of_the_changelog() -> None:
    older = ENTRY.replace("2.1", "2.0").format(date="Thu, 01 Jan 2026 00:00:00 +0000")
    text = ENTRY.format(date="Fri, 02 Jan 2026 01:00:00 +0100") + older
    release = deb_recipe.newest(text)
    assert (release.version, release.day) == ("2.1", "2026-01-02")
    assert release.time == 1767312000


@pytest.mark.parametrize("text", ["", "x (1) y; z\n", ENTRY.format(date="yesterday")])
def test_changelog_without_an_entry(text: str) -> None:
    with pytest.raises(UserError, match="changelog: "):
        deb_recipe.newest(text)
