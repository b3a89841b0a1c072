# SPDX-License-Identifier: GPL-2.0-only
"""A run as one JSON object: docs/commands.md has its keys, which stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from harness.base.errors import HarnessError
from harness.record.events import Event, ShardMerged, ShardStarted
from harness.record.repeat import repeat
from harness.report import cases, exitstatus, statementverdicts
from harness.report.verdict import Verdict

# Counts up when a key goes, or means something else.
SCHEMA = 1


def of(events: Sequence[Event], verdict: Verdict) -> dict[str, Any]:
    """What `./inv report --json` prints (pure)."""
    started = verdict.started
    kernels = {cell.variant: cell.kernel for cell in statementverdicts.of(events)}
    return {
        "schema": SCHEMA,
        "verdict": verdict.word,
        "passed": verdict.passed,
        "exit_status": _status(verdict),
        "shard": _shard(events),
        "command": started.command if started else "",
        "seed": started.seed if started else None,
        "host": started.host if started else "",
        "qemu": started.qemu if started else "",
        "seconds": verdict.seconds,
        "counts": dict(zip(("passed", "failed", "skipped"), verdict.counts, strict=True)),
        "reasons": list(verdict.reasons),
        "variants": [
            {
                "variant": row.variant,
                "kernel": kernels.get(row.variant, ""),
                "passed": row.passed,
                "failed": row.failed,
                "skipped": row.skipped,
                "statements": _statements(events, row.variant),
                "build_seconds": row.build_seconds,
                "boot_seconds": row.boot_seconds,
                "test_seconds": row.test_seconds,
                "accelerator": row.accelerator,
                "reasons": list(row.reasons),
            }
            for row in verdict.variants
        ],
        "not_run": [{"kernel": row.kernel, "reason": row.reason} for row in verdict.not_run],
        "not_built": [
            {"name": row.name, "variants": list(row.variants), "reason": row.reason}
            for row in verdict.not_built
        ],
        "missing": [{"source": row.name, "not_run": list(names)} for row, names in verdict.missing],
        "failures": [
            {
                "variant": suite.name,
                "test": case.test.test,
                "file": case.file,
                "line": case.line,
                "statements": list(case.test.statements),
                "message": case.message,
                "artifacts": case.test.artifacts,
                "again": repeat(case.test),
            }
            for suite in cases.of(events, verdict)
            for case in suite.cases
            if case.test is not None and case.outcome == "failed"
        ],
        "shards": [
            {
                "number": event.number,
                "of": event.of,
                "run": event.run,
                "host": event.host,
                "verdict": event.verdict,
                "seconds": event.seconds,
            }
            for event in events
            if isinstance(event, ShardMerged)
        ],
    }


def _status(verdict: Verdict) -> int:
    """The exit status that the run ended with."""
    try:
        exitstatus.raise_for(verdict, verdict.started.require if verdict.started else ())
    except HarnessError as error:
        return error.exit_status
    return 0


def _shard(events: Sequence[Event]) -> dict[str, int] | None:
    found = [event for event in events if isinstance(event, ShardStarted)]
    return {"number": found[-1].number, "of": found[-1].of} if found else None


def _statements(events: Sequence[Event], variant: str) -> dict[str, int]:
    """How many statements stand in which way."""
    count = Counter(
        cell.verdict for cell in statementverdicts.of(events) if cell.variant == variant
    )
    return {name.replace(" ", "_"): count[name] for name in statementverdicts.ORDER}
