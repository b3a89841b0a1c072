# SPDX-License-Identifier: GPL-2.0-only
"""The page of a coverage run: each file's source beside the tests that ran each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.base import paths, templates
from harness.coverage.result import File
from harness.guest import blocks

_TEMPLATE = paths.HARNESS / "coverage" / "coverage.html.j2"
# The rest is in coverage.json.
TESTS_SHOWN = 3


def render(kernels: Mapping[str, Sequence[File]], command: str, cut: Sequence[str] = ()) -> str:
    """HTML; `kernels` has the files of each kernel, `command` what makes the run again.

    `cut` are the tests of which only the first `blocks.MOST_LINES` blocks were looked at.
    """
    template = templates.load(_TEMPLATE)
    return template.render(
        kernels=kernels,
        command=command,
        cut=cut,
        most=blocks.MOST_LINES,
        shown=TESTS_SHOWN,
        share=share,
    )


def share(part: tuple[int, int]) -> str:
    """A share in words: `97.5 %`; nothing of nothing is all of it."""
    done, whole = part
    return f"{100 * done / whole:.1f} %" if whole else "-"
