# SPDX-License-Identifier: GPL-2.0-only
"""The examples of docs/python.md do what the page says, as they stand there, on this kernel."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import divert_reference
from divert_reference.guest import Guest
from harness.base import paths

_PAGE = (paths.ROOT / "docs" / "python.md").read_text()
# By the name in the first line of each.
_EXAMPLES: dict[str, str] = dict(
    re.findall(r"^```python\n# (\S+)\n(.*?)^```$", _PAGE, re.MULTILINE | re.DOTALL)
)
_TESTS = [name for name in _EXAMPLES if name.startswith("test_")]
_PROGRAMS = [name for name in _EXAMPLES if name not in _TESTS]


@pytest.mark.statement("R1/takes")
@pytest.mark.needs("no passthrough")
@pytest.mark.parametrize("name", _PROGRAMS)
def test_program_of_the_page(name: str, guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With this session's guest for the one that it would boot."""
    booted: list[str] = []

    @contextmanager
    def lend(variant: str) -> Iterator[Guest]:
        booted.append(variant)
        yield guest

    monkeypatch.setattr(divert_reference, "guest", lend)
    try:
        exec(compile(_EXAMPLES[name], name, "exec"), {"__name__": name})
    finally:
        guest.let_go()
    assert booted == ["base"]


@pytest.mark.statement("R1/takes")
@pytest.mark.parametrize("name", _TESTS)
def test_tests_of_the_page(name: str, request: pytest.FixtureRequest) -> None:
    """With this session's fixtures."""
    namespace: dict[str, object] = {"__name__": name}
    exec(compile(_EXAMPLES[name], name, "exec"), namespace)
    tests = [each for word, each in namespace.items() if word.startswith("test_")]
    assert len(tests) == 1
    for test in tests:
        assert callable(test)
        test(*map(request.getfixturevalue, inspect.signature(test).parameters))
