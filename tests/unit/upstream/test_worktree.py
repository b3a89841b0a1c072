# SPDX-License-Identifier: GPL-2.0-only
"""Working trees share with the unpacked source only what a build does not write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.upstream import sources, worktree
from tests.unit.support.toy import FILES, NAME, Release, release, write_tree

__all__ = ["release"]

WRITTEN = {"include/core.h": "int core;\n", "net/written.c": "int written;\n"}


@pytest.fixture
def verified(release: Release) -> sources.Verified:
    """The toy release with a link, and files that its make writes, unpacked."""
    tree = write_tree(release.root / "given", {**FILES, **WRITTEN})
    (tree / "include/link").symlink_to("core.h")
    return sources.obtain(NAME, [f"{NAME}={tree}"])


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on another file system than pytest's."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_what_is_written_is_copied_the_rest_is_linked(
    verified: sources.Verified, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    worktree.lay_out(verified, tree)
    assert (tree / "net/core.c").samefile(verified.tree / "net/core.c")
    for name, text in WRITTEN.items():
        assert not (tree / name).samefile(verified.tree / name)
        assert (tree / name).read_text() == text
        (tree / name).write_text("anew")
    assert (tree / "include/link").readlink() == Path("core.h")
    worktree.check_pristine(verified)


def test_where_there_are_no_links(verified: sources.Verified, elsewhere: Path) -> None:
    assert elsewhere.stat().st_dev != verified.tree.stat().st_dev
    tree = elsewhere / "tree"
    worktree.lay_out(verified, tree)
    assert (tree / "net/core.c").read_text() == FILES["net/core.c"]
    (tree / "net/core.c").write_text("written")
    worktree.check_pristine(verified)


def test_a_write_through_a_link_is_seen(verified: sources.Verified, tmp_path: Path) -> None:
    worktree.lay_out(verified, tmp_path / "tree")
    (tmp_path / "tree/net/core.c").write_text("written")
    with pytest.raises(InfrastructureError, match=r"net/core\.c of the unpacked Toy"):
        worktree.check_pristine(verified)
    assert not verified.tree.exists()
