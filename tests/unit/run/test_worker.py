# SPDX-License-Identifier: GPL-2.0-only
"""The pytest process of a variant: what it is told of the checkout's path."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.check import steps
from harness.run import worker
from tests.unit.support import toysuite

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("where", ["a=b", "x[1]", "$HOME", 'it\'s "it" ~ %h'])
def test_tests_are_collected_whatever_the_path(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(paths.ROOT))  # as `inv` does
    root = tmp_path / where
    suite = root / "tests" / "guest"
    suite.mkdir(parents=True)
    (suite / "test_toy.py").write_text(
        "import pytest\n@pytest.mark.statement('S1/opens')\ndef test_toy() -> None: ...\n"
    )
    monkeypatch.setattr(paths, "ROOT", root)
    assert worker.collect(suite) == {"test_toy.py::test_toy": ("S1/opens",)}
    for step in steps.steps(root / "build" / "check"):
        assert not [word for word in step.argv[1:] if where in word]


def test_session_starts_whatever_the_path_of_its_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The harness's own is in the checkout, and env(1) takes a path with = in it for a variable."""
    python = tmp_path / "a=b" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    session = worker.Worker(toysuite.spec(tmp_path / "run"), tmp_path, "")
    assert session.end() == 0
    assert session.log.read_text().startswith("-m pytest ")
