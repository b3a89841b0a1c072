# SPDX-License-Identifier: GPL-2.0-only
"""Which tests there are, and on which variant each runs, as data under review (docs/testing.md).

Beside the tests of each folder, inventory.toml has a line for each function: what it needs of a
kernel, how many cases it has, a digest of their names. applies.toml has the variants on which such
needs are met. A run asks for what these say, so that no test can go without being missed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.base import paths, terminal
from harness.base.errors import TestsFailedError
from harness.matrix import configurations, statements, variants
from harness.matrix.variants import Variant
from harness.run import inventoryfiles, worker
from harness.run.inventoryfiles import APPLIES, COMMAND, Applies, Functions, Inventory
from harness.run.selection import Selection
from harness.run.worker import Test

# Of a test without needs.
ANY = "any"
_SHOWN = 5


def needs(tests: Mapping[str, Test]) -> dict[str, str]:
    """What each test needs of a kernel: all that its statements and it itself need, in a string."""
    known = statements.load()
    found = {}
    for name, test in tests.items():
        wanted = {word for proved in test.proves for word in statements.needs(proved, known)}
        found[name] = ", ".join(sorted(wanted | set(test.needs))) or ANY
    return found


def count(tests: Mapping[str, Test]) -> Functions:
    """The lines for these tests, by their names: `24 1f3a09c2`, or `1` without parameters."""
    cases: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, wanted in needs(tests).items():
        function, _, case = name.partition("[")
        cases[function][wanted].append(case)
    return {
        function: {wanted: _line(found) for wanted, found in sorted(cases[function].items())}
        for function in sorted(cases)
    }


def _line(cases: list[str]) -> str:
    if cases == [""]:
        return "1"
    digest = hashlib.sha256("\n".join(sorted(cases)).encode(errors="surrogateescape"))
    return f"{len(cases)} {digest.hexdigest()[:8]}"


def where(wanted: Iterable[str], chosen: Iterable[Variant]) -> Applies:
    """On which of the variants `chosen` a kernel has what is needed, by the needs."""
    has = {variant.name: statements.features(variant) for variant in chosen}
    return {
        each: frozenset(name for name, own in has.items() if _met(each, own)) for each in wanted
    }


def _met(wanted: str, has: frozenset[str]) -> bool:
    return wanted == ANY or statements.unmet(wanted.split(", "), has) is None


def every_variant() -> list[Variant]:
    """All that a run can name, the reference's other configurations too; it takes seconds."""
    rows = configurations.rows().values()
    return [*variants.load().values(), *map(variants.of_configuration, rows)]


def missing(stored: Inventory, tests: Mapping[str, Test], chosen: Sequence[Variant]) -> list[str]:
    """What of the inventory the tests that there are have not, or not on the variants `chosen`; a
    line each. A function that is new is none.
    """
    found = count(tests)
    lost = [name for name in stored.functions if name not in found]
    lines = []
    modules = {name.partition("::")[0] for name in found}
    gone = Counter(name.partition("::")[0] for name in lost)
    for name in lost:
        module = name.partition("::")[0]
        if module in modules:
            lines.append(f"{name} is not there: {_cases(stored.functions[name])}")
    for module, number in gone.items():
        if module not in modules:
            lines.append(f"{module} is not there: {number} functions")
    lines += [
        f"{name} has {_cases(found[name])} where the inventory has {_cases(own)}"
        for name, own in stored.functions.items()
        if name in found and found[name] != own
    ]
    return [*lines, *_unmet(stored, chosen)]


def _unmet(stored: Inventory, chosen: Sequence[Variant]) -> list[str]:
    now = where(stored.applies, chosen)
    lines = []
    for variant in chosen:
        if variant.name not in stored.known:
            lines.append(f"{variant.name} is a variant of which {APPLIES} says nothing")
            continue
        lost = [
            wanted
            for wanted, names in stored.applies.items()
            if variant.name in names and variant.name not in now[wanted]
        ]
        lines += [f"{variant.name}: tests that need {wanted} no longer apply" for wanted in lost]
    return lines


def _cases(lines: Mapping[str, str]) -> str:
    return " and ".join(f"{line} ({wanted})" for wanted, line in lines.items())


def require(folder: Path, tests: Mapping[str, Test], chosen: Sequence[Variant]) -> Inventory:
    """The inventory of `folder`, which the tests there have to have, all of it.

    Raises TestsFailedError, which names what is missing on the variants `chosen`, and says how to
    let it go.
    """
    stored = inventoryfiles.read(folder)
    if lines := missing(stored, tests, chosen):
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        told = "\n".join(f"  {line}" for line in [*lines[:_SHOWN], *more])
        raise TestsFailedError(
            f"tests are missing that the inventory has:\n{told}",
            f"if that is meant: {COMMAND} --write, and have its diff reviewed",
        )
    return stored


def owed(stored: Inventory, tests: Mapping[str, Test], variant: str) -> dict[str, tuple[str, ...]]:
    """Those of the tests that have to run on a variant, with what each needs."""
    return {
        name: tuple(wanted.split(", "))
        for name, wanted in needs(tests).items()
        if variant in stored.applies.get(wanted, ())
    }


def of_suite(folder: Path) -> Inventory:
    """What the inventory of the tests in `folder` has to be. Raises TestsFailedError if they cannot
    be collected.
    """
    functions = count(worker.survey(Selection(root=folder)))
    wanted = dict.fromkeys(each for own in functions.values() for each in own)
    return Inventory(functions, where(wanted, every_variant()))


def differences(stored: Inventory, now: Inventory) -> list[str]:
    """What has come, gone or changed since the inventory was written, a line each."""
    lines = []
    for name in sorted(stored.functions.keys() | now.functions.keys()):
        before, after = stored.functions.get(name, {}), now.functions.get(name, {})
        if not after:
            lines.append(f"gone: {name}: {_cases(before)}")
        elif not before:
            lines.append(f"new: {name}: {_cases(after)}")
        elif before != after:
            lines.append(f"changed: {name}: {_cases(after)}, not {_cases(before)}")
    for wanted in sorted(stored.applies.keys() | now.applies.keys()):
        was, is_now = stored.applies.get(wanted, frozenset()), now.applies.get(wanted, frozenset())
        for word, names in (("no longer", was - is_now), ("now", is_now - was)):
            if names:
                some = ", ".join(sorted(names)[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
                lines.append(f"what needs {wanted} {word} runs on {some} ({len(names)} variants)")
    return lines


def show(*, write: bool = False) -> None:
    """Print how many tests run on each variant, and how the files differ from what there is; with
    `write`, make them what there is.

    Raises TestsFailedError if they differ, or the tests cannot be collected.
    """
    folder = paths.GUEST_TESTS
    with terminal.activity("looking at the tests", said=False):
        now = of_suite(folder)
    terminal.show(_table(now))
    try:
        lines = differences(inventoryfiles.read(folder), now)
    except TestsFailedError as error:
        if not write:
            raise
        lines = [error.message]
    for line in lines:
        terminal.show(line)
    if write:
        inventoryfiles.write(folder, now)
    elif lines:
        raise TestsFailedError(
            "the inventory of the tests is not that of the tests that there are",
            f"if that is meant: {COMMAND} --write, and have its diff reviewed",
        )
    else:
        terminal.show("the inventory is that of the tests that there are")


def _table(now: Inventory) -> terminal.Grid:
    grid = terminal.Grid("variant", "tests", right=("tests",))
    for variant in variants.load():
        grid.row(variant, str(number(now, variant)))
    return grid


def number(stored: Inventory, variant: str) -> int:
    """How many tests run on a variant."""
    return sum(
        int(line.partition(" ")[0])
        for lines in stored.functions.values()
        for wanted, line in lines.items()
        if variant in stored.applies[wanted]
    )
