# SPDX-License-Identifier: GPL-2.0-only
"""The project's data files (.toml): each is read here, and held against a schema.

What a file has that no schema knows would be left out without a word, and what it lacks would be a
traceback somewhere else. So a module that has data says what it can be, as types, in a `Schema`
beside the code that reads it; tests/unit/test_datafiles.py finds each file that has none.

msgspec holds data against types. It is imported in 10 ms, which each command pays that reads data
(cattrs takes 28 and turns 1 into "1" unless told not to, pydantic 55, jsonschema 60 without types).
It tells of one fault, and not in which of several tables, so `_faults` asks it of each part. The
line is looked up when there is a fault (tomllines.py).
"""

from __future__ import annotations

import datetime
import difflib
import functools
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from harness.base import paths
from harness.base.errors import UserError

T = TypeVar("T")

_ROOT = paths.ROOT

Keys = tuple[str | int, ...]

# Where tomllib says that something is wrong.
_PLACE = re.compile(r"(?P<what>.*) \(at (line (?P<line>\d+), column \d+|end of document)\)", re.S)
# msgspec's words for what TOML calls otherwise.
_WORDS = {"object": "table", "array": "list", "int": "integer", "str": "string", "bool": "boolean"}
_QUOTED, _WORD = re.compile(r"`(.*?)`"), re.compile(r"\w+")
_LISTS = (tuple, list, frozenset)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
# What TOML has beside numbers, strings, lists and tables.
_TIMES = (datetime.datetime, datetime.date, datetime.time)


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a data file of which all keys are known: a class with a field for each.

    A field without a default has to be there. Subclasses are `frozen=True, kw_only=True` too; with
    `rename="kebab"` the file has memory-mib for memory_mib.
    """


@dataclass(frozen=True)
class Fault:
    """What is wrong with a part of a file; `keys` lead there from the top."""

    keys: Keys
    what: str

    def __str__(self) -> str:
        return f"{_dotted(self.keys)}: {self.what}" if self.keys else self.what


class Schema(Generic[T]):
    """What files can be: those of the checkout that `where` names, a path with * and ?."""

    known: list[Schema[Any]] = []  # noqa: RUF012 # one list for all

    def __init__(self, kind: type[T], where: str) -> None:
        self.kind = kind
        self.where = where
        self.known.append(self)

    @property
    def path(self) -> Path:
        """The file that it is of, where that is one."""
        return _ROOT / self.where

    def read(self, path: Path | None = None) -> T:
        """What the file says; without `path`, the one that `where` names.

        Raises UserError with all that is wrong, a line each: FILE:LINE: what.
        """
        path = path or self.path
        text = _text(path)
        data = _parsed(text, path)
        try:
            return msgspec.convert(data, self.kind, builtin_types=_TIMES)
        except msgspec.ValidationError:
            raise _error(path, text, _faults(data, self.kind, ())) from None

    def refuse(self, faults: Iterable[Fault], path: Path | None = None) -> None:
        """Raise UserError, as `read` does, if there are faults: such as no type can tell."""
        path = path or self.path
        if found := list(faults):
            raise _error(path, _text(path), found)


def among(keys: Keys, value: str, known: Collection[str]) -> Iterator[Fault]:
    """A fault if a word is none of those that are known."""
    if value not in known:
        yield Fault(keys, f"{value} is not known{_choice(value, known)}")


def each_among(keys: Keys, values: Iterable[str], known: Collection[str]) -> Iterator[Fault]:
    """The same of each word of a list."""
    for number, value in enumerate(values):
        yield from among((*keys, number), value, known)


def _shown(path: Path) -> str:
    return str(path.relative_to(_ROOT) if path.is_relative_to(_ROOT) else path)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot use {_shown(path)}: {error.strerror}") from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{_shown(path)}:{line}: not UTF-8, as TOML has to be") from None


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        return _parse(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.fullmatch(str(error))
        what = place["what"] if place else str(error)
        line = place["line"] if place and place["line"] else len(text.splitlines())
        raise UserError(f"{_shown(path)}:{line}: no TOML: {what}") from None
    except RecursionError:
        raise UserError(f"{_shown(path)}: too many lists or tables in each other") from None


# Some files are asked for often. What is given out is a copy, made of it by msgspec.
@functools.lru_cache(maxsize=128)
def _parse(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _error(path: Path, text: str, faults: Iterable[Fault]) -> UserError:
    from harness.base import tomllines  # noqa: PLC0415 # 10 ms, where something is wrong

    lines = tomllines.of(text)

    def line(keys: Keys) -> int:
        # What is not there is told at that in which it should be.
        while keys not in lines:
            keys = keys[:-1]
        return lines[keys]

    told = sorted((line(fault.keys), number, fault) for number, fault in enumerate(faults))
    return UserError("\n".join(f"{_shown(path)}:{at}: {fault}" for at, _, fault in told))


def _dotted(keys: Keys) -> str:
    """As TOML has it; elements of lists are counted from 1."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key + 1}]"
        else:
            quoted = key if _BARE.fullmatch(key) else f'"{key}"'
            text += f".{quoted}" if text else quoted
    return text


def _faults(value: object, kind: Any, keys: Keys) -> list[Fault]:
    """All that is wrong with a value, in its smallest parts."""
    try:
        msgspec.convert(value, kind, builtin_types=_TIMES)
    except msgspec.ValidationError as error:
        found = list(_of_parts(value, _meant(value, kind), keys))
        return found or [Fault(keys, _said(value, kind, error))]
    return []


def _of_parts(value: object, kind: Any, keys: Keys) -> Iterator[Fault]:
    if isinstance(value, dict) and _is_table(kind):
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for key, part in value.items():
            if key in fields:
                yield from _faults(part, fields[key].type, (*keys, key))
            else:
                yield Fault((*keys, key), f"no such key{_choice(key, fields)}")
        for name, field in fields.items():
            if field.required and name not in value:
                yield Fault(keys, f"lacks {name}")
    elif isinstance(value, dict) and get_origin(kind) is dict:
        name, of = get_args(kind)
        for key, part in value.items():
            yield from _faults(key, name, (*keys, key))
            yield from _faults(part, of, (*keys, key))
    elif isinstance(value, list) and get_origin(kind) in _LISTS:
        for number, part in enumerate(value):
            yield from _faults(part, get_args(kind)[0], (*keys, number))


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def _meant(value: object, kind: Any) -> Any:
    """Of several types that which a table or a list can be; without its limits."""
    if get_origin(kind) is Annotated:
        return _meant(value, get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        for each in get_args(kind):
            origin = get_origin(each)
            table, a_list = _is_table(each) or origin is dict, origin in _LISTS
            if (isinstance(value, dict) and table) or (isinstance(value, list) and a_list):
                return each
    return kind


def _said(value: object, kind: Any, error: msgspec.ValidationError) -> str:
    if get_origin(kind) is Literal and isinstance(value, str):
        return f"{value} is not known{_choice(value, get_args(kind))}"
    # There is no null in TOML: what may be left out has one in its type.
    said = str(error).partition(" - at ")[0].replace(" | null`", "`")
    text = _QUOTED.sub(lambda match: _WORD.sub(_in_words, match[1]), said)
    return text[0].lower() + text[1:]


def _in_words(match: re.Match[str]) -> str:
    return _WORDS.get(match[0], match[0])


def _choice(word: str, known: Iterable[str]) -> str:
    """What could have been meant, and what there is, behind words that say it is neither."""
    known = sorted(known) if isinstance(known, frozenset | set) else list(known)
    near = difflib.get_close_matches(word, known, n=1)
    meant = f", did you mean {near[0]}?" if near else ";"
    return f"{meant} known: {', '.join(known)}"
