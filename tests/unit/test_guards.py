# SPDX-License-Identifier: GPL-2.0-only
"""The guest tests of T4 have the interceptor's guard on: none goes round it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from divert_reference.programs import GUARD, GUARDED_STATEMENT, Interceptor, check_guard
from harness.base import paths

# Programs that give back what they read without being told packet by packet.
_GIVING_BACK = re.compile(r"^(interceptor|interceptor-built|bench-reinject|howto|binders)\b")


def _texts(tree: ast.AST) -> list[str]:
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def _trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(paths.GUEST_TESTS.rglob("*.py")):
        yield path.name, ast.parse(path.read_text())


def _tests_of(name: str, tree: ast.Module) -> list[ast.FunctionDef]:
    return [
        node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any(name in _texts(decorator) for decorator in node.decorator_list)
    ]


def test_a_test_of_it_starts_no_program_that_gives_back_by_itself_and_has_no_guard() -> None:
    found = [(file, test) for file, tree in _trees() for test in _tests_of(GUARDED_STATEMENT, tree)]
    assert len(found) > GUARD
    around = [
        f"{file}: {test.name}" for file, test in found if any(map(_GIVING_BACK.match, _texts(test)))
    ]
    assert around == []


def test_only_the_fixture_makes_interceptors_since_it_looks_at_the_guard() -> None:
    makers = {
        file
        for file, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id == Interceptor.__name__)
            # The guest's own, which has no guard unless told.
            or (isinstance(node.func, ast.Attribute) and node.func.attr == "listen")
        )
    }
    # That of configurations boots machines of its own, and proves nothing of this.
    assert makers == {"test_o_configurations.py"}


@pytest.mark.parametrize("limit", [None, GUARD + 1, 0])
def test_no_guard_or_a_weaker_one_is_refused_to_a_test_of_it(limit: int | None) -> None:
    check_guard(("T1/way",), limit)
    check_guard(("T1/way", GUARDED_STATEMENT), GUARD)
    with pytest.raises(ValueError, match="guard"):
        check_guard(("T1/way", GUARDED_STATEMENT), limit)


# What would keep a kernel's messages from the console, where a crash is looked for.
_SILENCING = re.compile(r"dmesg -n|kernel/printk\b|\bklogctl\b|loglevel")


def test_no_test_silences_the_console() -> None:
    """2.2.12 tells of its faults nowhere else. (The fuzz does: rules that log would flood it.)"""
    silencing = [
        f"{file}: {text}"
        for file, tree in _trees()
        for text in _texts(tree)
        if _SILENCING.search(text)
    ]
    assert silencing == []
