# SPDX-License-Identifier: GPL-2.0-only
"""Whoever changes nothing draws the same again; whoever changes what is tested draws anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import checkout, paths


def test_of_what_is_tested_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)

    def drawn() -> int:
        _forget()
        return checkout.seed()

    file = tmp_path / "module" / "main.c"
    file.parent.mkdir()
    file.write_text("int a;")
    first = drawn()
    (tmp_path / "module" / "main.pyc").write_text("compiled")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "x").write_text("built")
    assert drawn() == first
    file.write_text("int b;")
    assert drawn() != first
    _forget()


def _forget() -> None:
    checkout.seed.cache_clear()
    checkout.identity.cache_clear()
