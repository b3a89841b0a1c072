# SPDX-License-Identifier: GPL-2.0-only
"""A run for GitHub: a step's summary in Markdown, and annotations at the tests that failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.record.repeat import repeat
from harness.report.cases import RED, Case, Suite
from harness.report.verdict import Verdict

# A summary may have 1 MiB, and of annotations ten a step are shown.
_FAILURES_SHOWN = 50
_MESSAGE_SHOWN = 2000
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&-])")


def summary(verdict: Verdict, suites: Sequence[Suite], word: str) -> str:
    """What $GITHUB_STEP_SUMMARY takes; `word` is the line of the verdict. Others show it, too."""
    lines = [f"## {_text(word)}", ""]
    lines += ["| variant | passed | failed | skipped | seconds | verdict |"]
    lines += ["|---|---:|---:|---:|---:|---|"]
    for row in verdict.variants:
        seconds = "-" if row.test_seconds is None else f"{row.test_seconds:.1f}"
        told = _text("; ".join(row.reasons)) or "pass"
        counts = f"{row.passed} | {row.failed} | {row.skipped} | {seconds}"
        lines.append(f"| {_text(row.variant)} | {counts} | {told} |")
    for absent in verdict.not_run:
        lines.append(f"| {_text(absent.kernel)} | - | - | - | - | NOT RUN |")
    for unbuilt in verdict.not_built:
        lines.append(f"| {_text(unbuilt.name)} | - | - | - | - | NOT BUILT |")
    red = [(suite, case) for suite in suites for case in suite.cases if case.outcome in RED]
    for suite, case in red[:_FAILURES_SHOWN]:
        what = case.test.test if case.test else case.name
        lines += ["", f"<details><summary>{_html(f'{suite.name}: {what}')}</summary>", ""]
        lines += [f"<pre>{_html(case.message[:_MESSAGE_SHOWN])}</pre>", ""]
        if case.test is not None:
            lines += [f"again: <code>{_html(repeat(case.test))}</code>", ""]
        lines += ["</details>"]
    if len(red) > _FAILURES_SHOWN:
        lines += ["", f"and {len(red) - _FAILURES_SHOWN} more: see the page"]
    for absent in verdict.not_run:
        lines += ["", f"<pre>{_html(absent.kernel)}: NOT RUN&#10;{_html(absent.reason)}</pre>"]
    return "\n".join([*lines, ""])


def log_commands(suites: Sequence[Suite]) -> str:
    """Commands for the log of a step: GitHub shows each where its test is."""
    return "".join(
        f"::error {_where(case)}title={_property(_title(suite, case))}::{_data(case.message)}\n"
        for suite in suites
        for case in suite.cases
        if case.outcome in RED
    )


def _where(case: Case) -> str:
    if not case.file:
        return ""
    line = f"line={case.line}," if case.line else ""
    return f"file={_property(case.file)},{line}"


def _title(suite: Suite, case: Case) -> str:
    return f"{suite.name}: {case.name}"


def _data(text: str) -> str:
    return text[:_MESSAGE_SHOWN].replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _text(text: str) -> str:
    """Text in a line of Markdown, as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _html(text: str) -> str:
    """Text in a block of HTML within Markdown, which an empty line would end."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"\n", "&#10;", escaped)
