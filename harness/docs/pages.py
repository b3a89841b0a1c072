# SPDX-License-Identifier: GPL-2.0-only
"""What the site is made of: the documents, and what they link to, at the same places as here.

So a link is the same in the site, in a checkout, and where a repository is shown.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.base import paths

# Beside all of docs/: the page that a newcomer reads first, and what others lead to.
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "module/README.md")
# How the site looks, beside what its theme says.
STYLE = "docs/site.css"

# The target of a link or a picture, without its anchor.
_LINK = re.compile(r"\]\((?!\w+:)([^)\s#]+)")


def collect(folder: Path, root: Path = paths.ROOT) -> None:
    """Copy all of it from `root` to `folder`. Raises OSError."""
    for path in files(root):
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def files(root: Path) -> list[Path]:
    """The documents below `root`, and the files that they link to.

    What a link names that is no file is not among them: then the site has a broken link, and says
    so.
    """
    documents = documents_of(root)
    style = [path for path in [root / STYLE] if path.is_file()]
    linked = {target for path in documents for target in _targets(path)}
    return sorted({*documents, *style, *(path for path in linked if path.is_relative_to(root))})


def documents_of(root: Path) -> list[Path]:
    """The documents alone."""
    return [*(root / name for name in DOCUMENTS), *sorted((root / "docs").rglob("*.md"))]


def _targets(document: Path) -> Iterator[Path]:
    for name in _LINK.findall(document.read_text(encoding="utf-8")):
        path = (document.parent / name).resolve()
        if path.is_file():
            yield path
