# SPDX-License-Identifier: GPL-2.0-only
"""What the site is made of: each document, in the menu; what they link to; each public name."""

from __future__ import annotations

import re
from pathlib import Path

import divert_reference
from harness.base import paths
from harness.docs import pages, site

MENU = re.findall(r"^ +- (\S+\.md)$", site.CONFIGURATION.read_text(), re.MULTILINE)


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_each_document_is_in_the_menu_once() -> None:
    there = [path.relative_to(paths.ROOT).as_posix() for path in pages.documents_of(paths.ROOT)]
    assert len(set(MENU)) == len(MENU)
    lacking = sorted(set(there) - set(MENU))
    assert not lacking, f"put into the menu of harness/docs/mkdocs.yml: {lacking}"
    gone = sorted(set(MENU) - set(there))
    assert not gone, f"the menu of harness/docs/mkdocs.yml has what is not there: {gone}"


def test_documents_and_what_they_link_to_are_at_their_places(tmp_path: Path) -> None:
    root, target = tmp_path / "root", tmp_path / "target"
    _write(
        root,
        {
            "README.md": "[a](docs/a.md#x) [l](LICENSE) ![p](docs/p.svg) [w](https://x.example/y)",
            "CONTRIBUTING.md": "[folder](docs) [gone](gone.md) [out](../outside)",
            "CHANGELOG.md": "",
            "module/README.md": "[c](../src/c.c)",
            "docs/a.md": "[home](../README.md)",
            "docs/deep/b.md": "",
            "LICENSE": "free",
            "docs/p.svg": "<svg/>",
            "src/c.c": "int c;",
            "src/other.c": "int o;",
        },
    )
    (tmp_path / "outside").write_text("not ours")
    pages.collect(target, root)
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert found == {
        *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "module/README.md"),
        *("docs/a.md", "docs/deep/b.md", "docs/p.svg", "LICENSE", "src/c.c"),
    }
    assert (target / "LICENSE").read_text() == "free"


def test_the_reference_has_each_public_name() -> None:
    text = (paths.ROOT / "docs" / "reference.md").read_text()
    shown = {name.rpartition(".")[2] for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)}
    lacking = sorted(set(divert_reference.__all__) - shown)
    assert not lacking, f"docs/reference.md lacks what divert_reference offers: {lacking}"
