# SPDX-License-Identifier: GPL-2.0-only
"""`./inv docs`: what MkDocs says is wrong is a failure in words, and nobody's folder is emptied."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import (
    InfrastructureError,
    TestsFailedError,
    UnavailableError,
    UserError,
)
from harness.check import docsrun
from harness.check.steps import Counts
from harness.docs import site, tools

MAKES = """
import pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("-d") + 1])
assert "--strict" in sys.argv
assert pathlib.Path("pages/docs/SPEC.md").is_file()
folder.mkdir()
for name in ("index.html", "sitemap.xml"):
    (folder / name).write_text("new")
"""
WARNS = """
print("INFO    -  Building documentation")
print("WARNING -  Doc file 'docs/a.md' contains a link 'b.md', but the target is not found.")
print("WARNING -  Pages are not in the menu:\\n  - docs/c.md")
print("\\nAborted with 2 warnings in strict mode!")
raise SystemExit(1)
"""


@pytest.fixture(autouse=True)
def _build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(site, "FOLDER", tmp_path / "build" / "docs")


def mkdocs(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Let a program of Python's be MkDocs."""
    package = folder / "tools" / "mkdocs"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(program)
    told = {"PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    monkeypatch.setattr(tools, "environment", lambda: told)


def test_the_site_is_made_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mkdocs(monkeypatch, tmp_path, MAKES)
    site.docs()
    index = tmp_path / "build" / "docs" / "index.html"
    assert index.read_text() == "new"
    assert capsys.readouterr().out == f"{index}\n"
    # What it has made it makes anew.
    index.write_text("old")
    site.docs(str(index.parent))
    assert index.read_text() == "new"
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["docs"]


def test_links_that_lead_nowhere_are_told_and_the_old_site_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdocs(monkeypatch, tmp_path, MAKES)
    site.docs()
    mkdocs(monkeypatch, tmp_path, WARNS)
    with pytest.raises(TestsFailedError) as raised:
        site.docs()
    assert raised.value.message.splitlines() == [
        "  Doc file 'docs/a.md' contains a link 'b.md', but the target is not found.",
        "  Pages are not in the menu: - docs/c.md",
    ]
    assert (site.FOLDER / "index.html").read_text() == "new"
    done = docsrun.documents([], [])
    assert (done.counts, done.family) == (Counts(failed=1), TestsFailedError)
    assert "contains a link 'b.md'" in done.output


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    with pytest.raises(UserError, match="has something else in it"):
        site.docs(str(home))
    with pytest.raises(UserError, match="is no folder"):
        site.docs(str(home / "letter"))
    assert (home / "letter").read_text() == "dear"


def test_mkdocs_that_breaks_is_no_fault_of_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mkdocs(monkeypatch, tmp_path, "raise SystemExit('no module named yaml')")
    with pytest.raises(InfrastructureError, match="no module named yaml"):
        site.docs()
    done = docsrun.documents([], [])
    assert (done.counts, done.family) == (Counts(unbuilt=1), InfrastructureError)


def test_without_its_tools_the_step_of_check_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> dict[str, str]:
        raise UnavailableError("no index", "get one")

    monkeypatch.setattr(tools, "environment", refuse)
    done = docsrun.documents([], [])
    assert (done.counts, done.family) == (Counts(skipped=1), None)
    assert done.note == "The site of the documents: NOT RUN.\nno index\nget one"
