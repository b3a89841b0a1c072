# SPDX-License-Identifier: GPL-2.0-only
"""Patches are made anew as diff -p -U3 makes them, one behind the other; what they do stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError, MissingSourceError, TestsFailedError
from harness.release import refresh
from harness.release.refresh import Origin
from harness.upstream import patches, patchfile
from tests.unit.support.toy import FILES, NAME, PATCH, Release, release, write_tree

__all__ = ["release"]

# Behind the first, whose change is around its own.
SECOND = """\
SPDX-License-Identifier: GPL-2.0-only

Another reason.

--- a/net/core.c
+++ b/net/core.c
@@ -11,2 +11,3 @@
 int core11;
+int core11b;
 int core12;
--- /dev/null
+++ b/net/more.c
@@ -0,0 +1 @@
+int more;
"""


@pytest.fixture
def origin(release: Release, monkeypatch: pytest.MonkeyPatch) -> Origin:
    """The toy release with two patches that have one line around each change."""
    (release.patches / "0002-more.patch").write_text(SECOND)
    (release.patches / "overlay/net").mkdir(parents=True)
    (release.patches / "overlay/net/new.c").write_text("int new;\n")

    def lay_out(tree: Path) -> None:
        write_tree(tree, FILES)

    def find(_given: object) -> Origin:
        return Origin(NAME, patches.load_all(NAME), lay_out)

    monkeypatch.setattr(refresh, "ORIGINS", (find,))
    return find(())


def result(release: Release, name: str) -> dict[str, str]:
    """The toy release with all patches."""
    tree = write_tree(release.root / name, FILES)
    patches.apply(patches.load_all(NAME), tree, release.root / "log")
    return {str(path.relative_to(tree)): path.read_text() for path in tree.rglob("*.c")}


def context_faults(path: Path) -> list[str]:
    """What is wrong with a patch, but for its head, which nobody can make."""
    return [row for row in patchfile.faults(patchfile.parse(path)) if "context" in row]


def test_a_patch_gets_its_form_and_keeps_its_head_and_its_effect(
    release: Release, origin: Origin, capsys: pytest.CaptureFixture[str]
) -> None:
    before = result(release, "before")
    with pytest.raises(TestsFailedError, match="2 patches are not"):
        refresh.refresh(check=True)
    assert result(release, "untouched") == before
    assert (release.patches / "0001-tenth-line.patch").read_text() == PATCH
    refresh.refresh()
    assert result(release, "after") == before
    text = (release.patches / "0002-more.patch").read_text()
    assert text.startswith(SECOND.partition("--- a/")[0])
    assert "@@ -9,6 +9,7 @@" in text
    assert "-long core10" not in text
    for path in release.patches.glob("*.patch"):
        assert context_faults(path) == []
    capsys.readouterr()
    refresh.refresh(check=True)
    assert "every patch that could be looked at is in its form" in capsys.readouterr().err


def test_what_is_missing_is_told_after_all_others(
    release: Release, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_given: object) -> Origin:
        raise MissingSourceError("the other is not here", "put it there")

    monkeypatch.setattr(refresh, "ORIGINS", (missing, *refresh.ORIGINS))
    with pytest.raises(MissingSourceError, match="the other is not here"):
        refresh.refresh()
    assert context_faults(release.patches / "0001-tenth-line.patch") == []


def test_a_patch_that_does_not_apply_is_left_alone(release: Release, origin: Origin) -> None:
    broken = PATCH.replace("-int core10", "-int elsewhere")
    (release.patches / "0001-tenth-line.patch").write_text(broken)
    with pytest.raises(InfrastructureError, match=r"0001-tenth-line\.patch does not apply"):
        refresh.refresh()
    assert (release.patches / "0001-tenth-line.patch").read_text() == broken
