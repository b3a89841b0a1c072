# SPDX-License-Identifier: GPL-2.0-only
"""Which tests prove which statement: collected, not run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from harness.base import paths, terminal
from harness.base.errors import UserError
from harness.matrix import statements
from harness.matrix.statements import Statement
from harness.run import worker


def by_part() -> dict[str, list[str]]:
    """Test names by what they prove: `S1`, or `S1/eperm`. Raises InfrastructureError."""
    found: dict[str, list[str]] = defaultdict(list)
    for test, names in worker.collect(paths.GUEST_TESTS).items():
        for name in names:
            found[name].append(test)
    return dict(found)


def unproved(known: Mapping[str, Statement], proofs: Mapping[str, list[str]]) -> list[str]:
    """The statements and cases that no test names, in the order of SPEC.md."""
    return [name for statement in known.values() for name in statement.parts if name not in proofs]


def in_short(tests: Iterable[str]) -> list[str]:
    """The names of tests without their folder, each once, with the number of its cases (pure)."""
    names = Counter(test.partition("[")[0].rpartition("/")[2] for test in tests)
    return [name if count == 1 else f"{name} ({count} cases)" for name, count in names.items()]


# Counts up when a key of the JSON goes, or means something else.
SCHEMA = 1


def show(chapter_or_name: str | None = None, *, as_json: bool = False) -> None:
    """Print statements, their cases, needs, and how many tests prove each; `as_json`, which.

    `chapter_or_name` narrows it to a chapter (S) or a statement (S1), whose tests are then named.
    Raises UserError if there is no such chapter or statement.
    """
    known = statements.load()
    wanted = (chapter_or_name or "").upper()
    chosen = [s for s in known.values() if wanted in ("", s.name, s.name[0])]
    if not chosen:
        raise UserError(f"there is no statement {chapter_or_name}", "./inv statements shows all")
    proofs = by_part()
    if as_json:
        rows = [_row(statement, proofs) for statement in chosen]
        terminal.show_json({"schema": SCHEMA, "statements": rows})
        return
    grid = terminal.Grid("what", "origin", "needs", "tests", "text", folded=("text",))
    for statement in chosen:
        for name, part in statement.parts.items():
            tests = proofs.get(name, [])
            grid.row(
                name,
                ", ".join(statement.origin),
                ", ".join(part.needs) or "any",
                str(len(tests)) if tests else terminal.text("none", style="red"),
                part.text,
            )
            if wanted and wanted == statement.name:
                for test in in_short(tests):
                    grid.row("", "", "", "", terminal.text(test, style="dim"))
    terminal.show(grid)
    lacking = unproved({s.name: s for s in chosen}, proofs)
    if lacking:
        terminal.show(f"\nno test proves: {', '.join(lacking)}")


def _row(statement: Statement, proofs: Mapping[str, list[str]]) -> dict[str, object]:
    return {
        "statement": statement.name,
        "origin": list(statement.origin),
        "text": statement.text,
        "parts": [
            {
                "part": name,
                "needs": list(part.needs),
                "text": part.text,
                "tests": proofs.get(name, []),
            }
            for name, part in statement.parts.items()
        ],
    }
