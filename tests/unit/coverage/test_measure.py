# SPDX-License-Identifier: GPL-2.0-only
"""What of a program ran, by which tests, and what that amounts to, line by line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.base.errors import UserError
from harness.coverage import measure, page, result
from harness.coverage.measure import Coverage
from harness.coverage.program import Instruction, Program
from harness.coverage.result import File, Reason

NAME = "net/a.c"
TEXT = "int f(int a)\n{\n\tif (a)\n\t\tg();\n\treturn 0;\n}\n\nint b;\n"
OURS = {NAME: frozenset({3, 4, 5})}


def at(offset: int, line: int, *, ends: bool = False, to: int | None = None) -> Instruction:
    here = (".text", offset)
    targets = None if to is None else ((".text", to), (".text", offset + 2))
    return Instruction(
        here, 2, (NAME, line), ends or to is not None, padding=False, targets=targets
    )


# if (a) jumps over the call.
PROGRAM = Program(
    {each.address: each for each in (at(0, 3, to=4), at(2, 4, ends=True), at(4, 5, ends=True))}
)
BASE = 0xC000


def row(test: str, *steps: tuple[int, int]) -> dict[str, object]:
    return {
        "test": test,
        "steps": [[BASE + one, BASE + other] for one, other in steps],
        "sections": {".text": BASE},
        "cut": test == "long",
    }


def files(*rows: dict[str, object], known: tuple[Reason, ...] = ()) -> File:
    found = Coverage()
    found.add("base", "base", PROGRAM, rows)
    (file,) = result.files(found, {NAME: TEXT}, OURS, known)
    return file


def test_what_did_not_run_is_told() -> None:
    file = files(row("one", (0, 4)))
    assert [line.state for line in file.rows] == [
        *("no code", "no code", "partly", "not run", "ran", "no code", "no code", "no code")
    ]
    assert (file.lines, file.branches) == ((2, 3), (1, 2))
    assert [line.number for line in file.unexplained] == [4]
    assert file.rows[2].tests == ("base:one",)


def test_tests_add_up() -> None:
    file = files(row("one", (0, 4)), row("two", (0, 2), (2, 4)), row("none"))
    assert (file.lines, file.branches) == ((3, 3), (2, 2))
    assert file.rows[4].tests == ("base:one", "base:two")
    assert file.unexplained == []


def test_a_step_to_elsewhere_is_no_way_of_a_branch() -> None:
    """As of an interrupt between the two."""
    assert files(row("one", (0, 0x999))).branches == (0, 2)


def test_addresses_of_a_linked_program_are_its_own() -> None:
    linked: dict[str, object] = {"test": "one", "steps": [[0, 2]], "sections": {}, "cut": False}
    assert files(linked).lines == (2, 3)


def test_each_build_has_branches_of_its_own() -> None:
    found = Coverage()
    for build, step in (("base", (0, 4)), ("defrag", (0, 2))):
        found.add(build, build, PROGRAM, [row("one", step)])
    (file,) = result.files(found, {NAME: TEXT}, OURS)
    assert file.branches == (2, 4)


def test_a_reason_explains_what_did_not_run() -> None:
    known = (
        Reason(file=NAME, text="g();", reason="nothing can"),
        Reason(file="net/b.c", text="if (a)", reason="of another file"),
    )
    file = files(row("one", (0, 4)), known=known)
    assert file.unexplained == []
    assert (file.rows[3].state, file.rows[3].reason) == ("explained", "nothing can")
    assert file.rows[2].state == "partly"


def test_reasons_are_rows_with_all_three(tmp_path: Path) -> None:
    file = tmp_path / "reasons.toml"
    file.write_text('[[line]]\nfile = "a"\ntext = "b"\nreason = "c"\n')
    assert result.reasons(file) == (Reason(file="a", text="b", reason="c"),)
    file.write_text('[[line]]\nfile = "a"\ntext = "b"\n')
    with pytest.raises(UserError):
        result.reasons(file)
    assert isinstance(result.reasons(), tuple)


def test_rows_of_a_session(tmp_path: Path) -> None:
    file = tmp_path / "blocks.jsonl"
    assert list(measure.read(file)) == []
    file.write_text(json.dumps(row("one")) + "\n")
    assert list(measure.read(file)) == [row("one")]


def test_page_shows_source_beside_tests() -> None:
    html = page.render({"linux-2.2.12": [files(row("<one>", (0, 4)))]}, "./inv test --coverage")
    assert '<tr class="not-run"><td>4</td><td></td><td></td><td>\t\tg();</td>' in html
    assert "base:&lt;one&gt;" in html
    assert "66.7 %" in html
    assert page.share((0, 0)) == "-"


def test_of_which_tests_not_all_was_looked_at_is_told() -> None:
    found = Coverage()
    found.add("base", "base", PROGRAM, [row("one", (0, 4)), row("long", (0, 2))])
    assert found.cut == {"base:long"}
    html = page.render({}, "./inv test --coverage", sorted(found.cut))
    assert "only the first 1,000,000 blocks" in html and "base:long" in html
    assert "only the first" not in page.render({}, "./inv test --coverage")
