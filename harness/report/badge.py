# SPDX-License-Identifier: GPL-2.0-only
"""A run as a badge: a small picture for a README or a list of projects."""

from __future__ import annotations

from harness.base import paths, templates
from harness.report.verdict import Verdict

_TEMPLATE = paths.HARNESS / "report" / "badge.svg.j2"
_LABEL = "divert sockets"
_GREEN, _RED, _GREY = "#1a7f37", "#cf222e", "#59636e"
# A letter of the font, and what is left and right of a text, in pixels.
_LETTER, _MARGIN = 6.6, 12


def render(verdict: Verdict) -> str:
    """The picture, as SVG. What is no verdict on the whole, as a shard's, is not green."""
    passed, failed, _ = verdict.counts
    if verdict.passed:
        text, colour = f"{passed} tests pass", _GREEN
    elif verdict.word == "FAIL":
        text, colour = f"{failed} tests fail" if failed else "fails", _RED
    else:
        text, colour = verdict.word.lower(), _GREY
    if verdict.shard:
        text = f"{verdict.shard}: {text}"
        colour = _GREY if verdict.passed else colour
    return templates.load(_TEMPLATE).render(
        label=_LABEL, text=text, colour=colour, left=_width(_LABEL), right=_width(text)
    )


def _width(text: str) -> int:
    return round(len(text) * _LETTER) + _MARGIN
