# SPDX-License-Identifier: GPL-2.0-only
"""docs/SPEC.md names the functions of the model beside each statement, and they name it."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType

from harness.base import paths

MODULES = ("chains", "host", "packet", "rules", "socket", "steps", "traits", "walk", "ways")
_STATEMENT = re.compile(r"^- ([A-Z]\d+) .*?(?=^- [A-Z]\d+ |^## |\Z)", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"\(Model: ([^)]*)\.\)")
# A docstring begins with the statements that the function is of.
_OF = re.compile(r"((?:[A-Z]\d+, )*[A-Z]\d+)(?:, IP_FW_[A-Z_]+)?: ")


def functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """The public functions of a module, and the public methods of its classes."""
    for name, thing in vars(module).items():
        if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing):
            for method, function in vars(thing).items():
                if not method.startswith("_") and inspect.isfunction(function):
                    yield f"{name}.{method}", function


def of_the_model() -> dict[str, set[str]]:
    """Statement -> the functions that begin with it."""
    found: dict[str, set[str]] = {}
    for each in MODULES:
        for name, function in functions(importlib.import_module(f"harness.model.{each}")):
            match = _OF.match(function.__doc__ or "")
            for statement in match[1].split(", ") if match else ():
                found.setdefault(statement, set()).add(name)
    return found


def of_the_specification() -> dict[str, set[str]]:
    """Statement -> the functions that it names."""
    text = (paths.ROOT / "docs" / "SPEC.md").read_text()
    found = {}
    for match in _STATEMENT.finditer(text):
        named = _NAMED.search(match[0])
        if named:
            found[match[1]] = set(re.findall(r"`([^`]+)`", named[1]))
    return found


def test_each_names_the_other() -> None:
    told, known = of_the_specification(), of_the_model()
    faults = [
        f"{name}: of the model docs/SPEC.md names {sorted(told.get(name, set())) or 'nothing'}, "
        f"and the docstrings of {sorted(known.get(name, set())) or 'none'} begin with it"
        for name in sorted(told.keys() | known.keys())
        if told.get(name) != known.get(name)
    ]
    assert not faults, "\n".join(faults)


def test_what_the_model_is_for_is_there() -> None:
    named = of_the_model()
    assert {"S4", "S9", "R1", "R4", "P1", "P2", "I2", "I3", "I6", "T1", "T3", "F4"} <= set(named)
