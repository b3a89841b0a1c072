# SPDX-License-Identifier: GPL-2.0-only
"""The packages as data: what the file says, what it may not say, and version and date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.image import guestprograms
from harness.release import deb_recipe, deb_tree

DKMS = paths.ROOT / "module" / "dkms.conf"
ROW = {"architecture": "all", "section": "net", "summary": "s", "description": ["d"]}


def parsed(**row: Any) -> deb_recipe.Recipe:
    data = {"common": {"maintainer": "Me <me@example.org>"}, "one": ROW | row}
    return deb_recipe.parse(data)[0]


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


def test_what_a_row_says() -> None:
    recipe = parsed(
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
        ({"colour": "red"}, "one has an unknown colour"),
        ({"manuals": "x.8"}, "the manuals of one is no list"),
        ({"files": [{"from": "module", "to": "x"}]}, "files of one need from, names, to"),
    ],
)
def test_what_a_row_may_not_say(row: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parsed(**row)


@pytest.mark.parametrize("key", list(ROW))
def test_what_a_row_has_to_say(key: str) -> None:
    data = {"common": {"maintainer": "m"}, "one": {k: v for k, v in ROW.items() if k != key}}
    with pytest.raises(UserError, match=f"one lacks {key}"):
        deb_recipe.parse(data)


def test_a_file_that_is_no_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb_recipe, "FOLDER", tmp_path)
    for use in (deb_recipe.load, deb_recipe.release):
        with pytest.raises(UserError, match="cannot use"):
            use()
    (tmp_path / deb_recipe.FILE).write_text("[")
    with pytest.raises(UserError, match="cannot use"):
        deb_recipe.load()


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
