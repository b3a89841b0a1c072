# SPDX-License-Identifier: GPL-2.0-only
"""Each `./inv ...` that a document prints: a task, options, and names that there are."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext

from harness.base import paths
from harness.base.cli import as_options
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import HarnessError
from harness.bench import plan as bench_plan
from harness.canaries import canary
from harness.fresh import rooms
from harness.matrix import configurations, kernels, statements, variants
from harness.mutate import mutants
from tests.unit.support import commandline, doclines

# What CONTRIBUTING.md has its reader add.
_ADDED = frozenset(["linux-9.9:base", "example", "P5", "test_p_example"])
# In the place of a name.
_PLACEHOLDER = re.compile(r"[A-Z]{2,}|\.\.\.|…")
# Files that the reader of a line has, or makes by the line before it, as all below build/.
_READERS = frozenset(["prog", "prog.c", "find.steps"])


@functools.cache
def _guest_tests() -> str:
    """Names of all guest tests, with those of their modules: what -k is looked for in."""
    return "\n".join(
        f"{path.name} {name}"
        for path in sorted(paths.GUEST_TESTS.rglob("test_*.py"))
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    )


@functools.cache
def _statement_names() -> frozenset[str]:
    known = statements.load()
    return frozenset(known) | {name[0] for name in known}


def _expression(value: str) -> None:
    for word in re.findall(r"[\w-]+", value):
        if word not in ("and", "or", "not") and word not in _ADDED:
            assert word in _guest_tests(), f"no guest test has {word} in its name"


def _file(value: str) -> None:
    if value not in _READERS and not value.startswith("build/"):
        assert (paths.ROOT / value).is_file(), f"there is no file {value}"


def _only(task: str, value: str) -> None:
    if task == "canaries":
        canary.select(canary.load(), value)
    elif task == "configurations":
        known = {name.removeprefix(configurations.PREFIX) for name in configurations.rows()}
        assert not set(value.split(",")) - known, f"among the configurations is no {value}"
    elif task == "mutate":
        mutants.select(mutants.load()[0], value)
    elif task == "bench":
        bases = [row for row in variants.load().values() if row.short == "base"]
        bench_plan.only(bench_plan.measurements(bench_plan.load(), bases), value)


def _statement(value: str) -> None:
    assert value in _statement_names() | _ADDED, f"there is no statement {value}"


def _judge(value: str) -> None:
    assert value in ("model", "kernels"), f"there is no judge {value}"


_VALUES: dict[tuple[str, str], Callable[[str], object]] = {
    ("statements", "name"): _statement,
    ("judge", "name"): _judge,
    ("judge", "case"): _file,
    ("test", "k"): _expression,
    ("cc", "program"): _file,
    ("fresh", "room"): lambda value: rooms.load().select(value),
}


def _tasks() -> dict[str, ParserContext]:
    return {str(each.name): each for each in commandline.contexts()}


def _contexts(words: list[str]) -> list[ParserContext]:
    """What invoke makes of the words, up to `--`; as harness.base.cli has it."""
    words = words[: words.index("--")] if "--" in words else words
    contexts = commandline.contexts()
    parsed = Parser(contexts=contexts).parse_argv(as_options(words, contexts))
    assert parsed.unparsed == []
    return list(parsed)


def _names(text: str) -> Iterator[str]:
    for name in text.split(","):
        if name and not _PLACEHOLDER.search(name) and name not in _ADDED:
            yield name


def _look(task: str, options: dict[str, Any]) -> None:
    kernel = options.get("kernel")
    for name in _names(kernel or ""):
        kernels.named(name)
    for name in _names(options.get("variant") or ""):
        variants.select(variant=name, kernel=kernel)
    if options.get("matrix"):
        variants.select(matrix=options["matrix"])
    for value in options.get("put") or []:
        _file(value)
    if options.get("only") and not _PLACEHOLDER.fullmatch(options["only"]):
        _only(task, options["only"])
    for (of, option), look in _VALUES.items():
        value = options.get(option)
        if of == task and value and not _PLACEHOLDER.search(value):
            look(value)


def _fault(line: doclines.Line) -> str:
    """What is wrong with a line, in words; nothing, if it is right."""
    words = line.words
    if not words or words[0].startswith("-") or _PLACEHOLDER.fullmatch(words[0]):
        return ""
    # A sentence may name a task alone.
    if len(words) == 1 and words[0] in _tasks():
        return ""
    try:
        for context in _contexts(words):
            task = str(context.name)
            _look(task, {name: each.value for name, each in context.args.items()})
    except (ParseError, HarnessError, AssertionError, ValueError) as error:
        return f"{line}\n  {error}"
    return ""


def test_each_line_is_one_that_can_be_typed() -> None:
    faults = [fault for line in doclines.every() if (fault := _fault(line))]
    assert not faults, "\n".join(["the documents print what cannot be typed:", *faults])


class _Row(Table, frozen=True, kw_only=True):
    line: tuple[str, ...]
    by: str = ""
    why: str = ""


class _Rows(Table, frozen=True, kw_only=True):
    row: tuple[_Row, ...]


DATA = Schema(_Rows, "tests/unit/doclines.toml")


@functools.cache
def _rows() -> tuple[_Row, ...]:
    rows = DATA.read().row
    DATA.refuse(
        Fault(("row", number), "needs either who runs it (by), or why nobody does (why)")
        for number, row in enumerate(rows)
        if bool(row.by) == bool(row.why)
    )
    return rows


def _row_of(text: str) -> tuple[int, str] | None:
    """The first row that a line fits, by its number, and the pattern of it that it fits."""
    for number, row in enumerate(_rows()):
        for pattern in row.line:
            if re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text):
                return number, pattern
    return None


def test_each_line_is_run_by_somebody_or_says_why_not() -> None:
    lines = {line.text: line for line in doclines.every()}
    found = {text: _row_of(text) for text in lines}
    lacking = [str(lines[text]) for text, row in found.items() if row is None]
    assert not lacking, "\n".join(
        ["say in tests/unit/doclines.toml who runs this, or why nobody does:", *lacking]
    )
    used = set(filter(None, found.values()))
    idle = [
        pattern
        for number, row in enumerate(_rows())
        for pattern in row.line
        if (number, pattern) not in used
    ]
    assert not idle, f"no document prints what these rows of doclines.toml are for: {idle}"


def test_a_line_that_no_row_is_for_is_found() -> None:
    assert _row_of("./inv nothing") is None
    assert _row_of("./inv docsx y") == _row_of("./inv docs --output DIR")


def test_who_is_said_to_run_a_line_is_there() -> None:
    for row in _rows():
        if row.by:
            assert (paths.ROOT / row.by).is_file(), f"there is no {row.by}: {row.line}"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("./inv tests", "tests"),
        ("./inv test --variants base", "--variants"),
        ("./inv test --variant bass", "bass"),
        ("./inv test --kernel linux-3.0", "linux-3.0"),
        ("./inv test --matrix passthrough,defrg", "defrg"),
        ("./inv test --variant base -k nobody_has_this", "nobody_has_this"),
        ("./inv statements S99", "S99"),
        ("./inv run --variant base --put docs/none.c -- true", "docs/none.c"),
        ("./inv cc docs/none.c", "docs/none.c"),
        ("./inv fresh --room moon", "moon"),
        ("./inv canaries --only moon", "moon"),
        ("./inv bench --only moon", "moon"),
        ("./inv judge moon", "moon"),
        ("./inv run --variant", "variant"),
    ],
)
def test_a_wrong_line_is_told_in_words(text: str, word: str) -> None:
    fault = _fault(doclines.Line("docs/none.md", 3, text))
    where, _, why = fault.partition("\n")
    assert where == f"docs/none.md:3: {text}"
    assert word in why


TEXT = """
Type `./inv test
--matrix a` or `invoke x`.

    ./inv cc prog.c                                     # C of the year 2000
    ./inv bench                    all rows
    FOO=1 ./inv test  # both
    ./inv run --variant base -- \\
        'echo  a'

```
$ ./inv check
```
| `clean` | no |
./inv no
"""


def test_lines_are_found_in_examples_fences_and_sentences() -> None:
    found = list(doclines.of_text("x.md", TEXT))
    assert [(line.number, line.text) for line in found] == [
        (5, "./inv cc prog.c"),
        (6, "./inv bench"),
        (7, "./inv test"),
        (8, "./inv run --variant base -- 'echo  a'"),
        (12, "./inv check"),
        (2, "./inv test --matrix a"),
    ]


def _table() -> dict[str, set[str]]:
    """Each task of docs/commands.md with the options in its row's second column."""
    rows = {}
    for line in (paths.ROOT / "docs" / "commands.md").read_text().splitlines():
        if match := re.match(r"\| `([a-z][a-z-]*)` \|([^|]*)\|", line):
            rows[match[1]] = set(re.findall(r"`--?([a-z][\w-]*)`", match[2]))
    return rows


def test_the_table_of_commands_has_each_task_with_its_options() -> None:
    table = _table()
    differ = sorted(set(_tasks()) ^ set(table))
    assert not differ, f"tasks.py and docs/commands.md do not have the same tasks: {differ}"
    for name, context in _tasks().items():
        options = {each.names[0].rstrip("_-") for each in context.args.values()}
        differ = sorted(options ^ table[name])
        assert not differ, f"{name} has not the options that docs/commands.md gives it: {differ}"
