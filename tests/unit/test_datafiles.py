# SPDX-License-Identifier: GPL-2.0-only
"""Each data file of the project has a schema, is read by it alone, and cannot lie in any place.

The files are found, and broken, by this test itself: a new one, a new key is tried without a word.
"""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
import pytest
import tree_sitter_toml
from tree_sitter import Language, Node, Parser

from harness.base import paths, tomllines
from harness.base.datafile import Schema, Table
from harness.base.errors import UserError
from harness.base.tomllines import Keys

ENDINGS = {".toml", ".json", ".jsonl", ".yaml", ".yml", ".ini", ".cfg", ".csv", ".tsv", ".xml"}
# What is other programs' data: they say what it can be.
OTHERS = {
    "pyproject.toml": "Python's tools",
    ".pre-commit-config.yaml": "pre-commit",
    "harness/docs/mkdocs.yml": "MkDocs",
    ".github/*": "GitHub",
    "docs/ci/*": "services that run tests",
}
# What can parse such a file, and who may: the schemas, and tests of other programs' data.
PARSERS = ("tomllib", "tomli", "tomlkit", "toml", "yaml", "configparser", "csv")
READERS = {
    "harness/base/datafile.py",
    "harness/base/tomllines.py",
    "tests/unit/base/test_tomllines.py",
    "tests/unit/test_datafiles.py",
    "tests/unit/test_design.py",
}

# No field of a schema is called so, or is a time of the day with a date.
KEY, VALUE = '"no such key"', "1979-05-27T07:32:00Z"


def files() -> list[str]:
    """All files of the checkout, also those that are not committed yet."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(words, cwd=paths.ROOT, capture_output=True, text=True, check=True)
    return sorted(name for name in done.stdout.split("\0") if (paths.ROOT / name).is_file())


FILES = files()
DATA = [
    name
    for name in FILES
    if Path(name).suffix in ENDINGS and not any(fnmatchcase(name, each) for each in OTHERS)
]
SOURCES = {name: (paths.ROOT / name).read_text() for name in FILES if name.endswith(".py")}


def schemas() -> list[Schema[Any]]:
    """Those of all modules that have some."""
    for name, text in SOURCES.items():
        if "Schema(" in text and name != "tests/unit/base/test_datafile.py":
            importlib.import_module(name.removesuffix(".py").replace("/", "."))
    # pytest may have a module of tests under another name, and so its schemas twice.
    named = {(each.where, repr(each.kind).rpartition(".")[2]): each for each in Schema.known}
    return [each for each in named.values() if each.where != "tests/unit/base/nothing.toml"]


SCHEMAS = schemas()


def schemas_of(name: str) -> list[Schema[Any]]:
    """Of a file: where one names it, none that has it by * counts."""
    exact = [each for each in SCHEMAS if each.where == name]
    return exact or [each for each in SCHEMAS if fnmatchcase(name, each.where)]


def files_of(schema: Schema[Any]) -> list[str]:
    return [name for name in DATA if schema in schemas_of(name)]


def test_each_file_has_a_schema() -> None:
    assert len(DATA) > 50
    assert [name for name in DATA if not name.endswith(".toml")] == []
    without = [name for name in DATA if not schemas_of(name)]
    assert not without, "a Schema beside the code that reads it: docs/development.md, Data files"
    several = [name for name in DATA if len(schemas_of(name)) > 1]
    assert not several


def test_each_schema_has_a_file() -> None:
    assert [each.where for each in SCHEMAS if not files_of(each)] == []


def test_nothing_else_reads_them() -> None:
    """A file that is parsed by itself is held against nothing."""
    pattern = re.compile(rf"^ *(?:import|from) +(?:{'|'.join(PARSERS)})\b", re.MULTILINE)
    assert {name for name, text in SOURCES.items() if pattern.search(text)} == READERS


@pytest.mark.parametrize("name", DATA)
def test_each_file_is_as_its_schema_says(name: str) -> None:
    (schema,) = schemas_of(name)
    schema.read(paths.ROOT / name)


@dataclass(frozen=True)
class Broken:
    """A file that was broken at `place`: its text, and what has to be said of which line."""

    place: str
    text: str
    line: int
    says: str


class Breaker:
    """Breaks a text in each place of its schema."""

    def __init__(self, text: str, schema: Schema[Any]) -> None:
        self._content = text.encode()
        self._kind = schema.kind
        self._data = tomllib.loads(text)
        tree = Parser(Language(tree_sitter_toml.language())).parse(self._content)
        self._nodes = list(tomllines._file(tree.root_node))

    def broken(self) -> Iterator[Broken]:
        """One text for each way of breaking each place."""
        first = f"{KEY} = {VALUE}\n"
        yield Broken("the top", first + self._content.decode(), 1, KEY)
        headers = {keys: node for keys, node in self._nodes if node.type == "table"}
        for keys, node in self._nodes:
            above, place = self._kinds(keys)
            line = node.start_point.row + 1
            if node.type not in ("table", "table_array_element"):
                value = self._value(node) if node.type == "pair" else node
                yield Broken(f"{place}: type", self._with(value, VALUE), line, "expected ")
            if above is None or isinstance(keys[-1], int) or node.type == "table_array_element":
                continue
            field = above[keys[-1]]
            yield Broken(f"{place}: name", self._with(self._key(node), KEY), line, "no such key; ")
            owner = headers.get(keys[:-1])
            if field.required and node.type == "pair" and (owner or len(keys) == 1):
                at = owner.start_point.row + 1 if owner else 1
                text = self._with(node, "")
                yield Broken(f"{place}: missing", text, at, f"lacks {field.encode_name}")

    def _kinds(self, keys: Keys) -> tuple[dict[str, Any] | None, str]:
        """The fields of the table in which the last key is, if they are known; and the place, in
        which keys that can be any are *.
        """
        kind, value = self._kind, self._data
        fields: dict[str, Any] | None = None
        place = ""
        for key in keys:
            kind = meant(value, kind)
            fields = None
            if is_table(kind):
                fields = {each.encode_name: each for each in msgspec.structs.fields(kind)}
                kind = fields[str(key)].type
                place += f".{key}"
            else:
                kind = get_args(kind)[1 if get_origin(kind) is dict else 0]
                place += ".*"
            value = value[key]  # type: ignore[index]
        return fields, place

    def _with(self, node: Node, new: str) -> str:
        """The text with another in a node's place."""
        content = self._content
        return (content[: node.start_byte] + new.encode() + content[node.end_byte :]).decode()

    @staticmethod
    def _value(pair: Node) -> Node:
        equals = [each.type for each in pair.children].index("=")
        return pair.children[equals + 1]

    @staticmethod
    def _key(node: Node) -> Node:
        """Of several with dots between the last."""
        found = next(each for each in node.children if each.type.endswith("_key"))
        while found.type == "dotted_key":
            found = found.children[-1]
        return found


def is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Table)


def meant(value: object, kind: Any) -> Any:
    """What a value of several types is."""
    if get_origin(kind) is Annotated:
        return meant(value, get_args(kind)[0])
    if get_origin(kind) not in (Union, UnionType):
        return kind
    tables = [each for each in get_args(kind) if get_origin(each) is dict or is_table(each)]
    lists = [each for each in get_args(kind) if get_origin(each) in (tuple, list, frozenset)]
    return (tables if isinstance(value, dict) else lists)[0]


@pytest.mark.slow
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.where)
def test_whatever_is_broken_is_told_with_its_line(schema: Schema[Any], tmp_path: Path) -> None:
    """Each kind of place once: in a table of packets of a hundred rows that of one."""
    tried: set[str] = set()
    file = tmp_path / "broken.toml"
    for name in files_of(schema):
        for each in Breaker((paths.ROOT / name).read_text(), schema).broken():
            if each.place in tried:
                continue
            tried.add(each.place)
            file.write_text(each.text)
            with pytest.raises(UserError) as caught:
                schema.read(file)
            lines = caught.value.message.splitlines()
            at = [line for line in lines if line.startswith(f"{file}:{each.line}: ")]
            assert any(each.says in line for line in at), (name, each.place, each.line, lines)
    assert tried
