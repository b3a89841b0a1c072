# SPDX-License-Identifier: GPL-2.0-only
"""What cannot be asked for together with lines and branches is refused, not left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.base.errors import UserError
from harness.coverage import coverage, debug
from harness.matrix import variants
from harness.run.request import Request


@pytest.mark.parametrize(
    ("times", "keep", "what"), [(3, False, "--repeat 3"), (1, True, "--keep"), (0, False, "0")]
)
def test_of_one_run_alone(
    times: int, keep: bool, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug, "of", lambda *_: pytest.fail("a run begins"))
    request = replace(Request((variants.named("base"),)), keep=keep)
    with pytest.raises(UserError, match=f"--coverage is of one run.*{what}"):
        coverage.test(request, times=times)
