# SPDX-License-Identifier: GPL-2.0-only
"""Two runs in one checkout would take each other's trees: the second is refused."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from harness.base import occupancy, paths
from harness.base.errors import UserError
from harness.mutate import mutate, sessions


def test_the_second_run_of_a_checkout_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(mutate, "_run", lambda *_, **__: None)
    lock = paths.BUILD / sessions.FOLDER / mutate.LOCK
    with (
        occupancy.once(lock, "./inv mutate"),
        pytest.raises(UserError, match="runs in this checkout already: process ") as caught,
    ):
        mutate.mutate(quick=True)
    assert "use another checkout" in caught.value.hint
    mutate.mutate(quick=True)
