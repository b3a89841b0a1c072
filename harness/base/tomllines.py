# SPDX-License-Identifier: GPL-2.0-only
"""On which line of a TOML file each key and each element of a list stands.

tomllib tells no places. The grammar is tree-sitter's: it is loaded only where something is wrong.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

# Names of keys, and numbers of elements, from the top of the file.
Keys = tuple[str | int, ...]

_KEYS = ("bare_key", "quoted_key", "dotted_key")
_NO_VALUES = ("[", "]", ",", "comment")


def of(text: str) -> dict[Keys, int]:
    """The line, from 1, of all that a file has; of a table that no line begins, its first key's."""
    lines: dict[Keys, int] = {(): 1}
    tree = Parser(Language(tree_sitter_toml.language())).parse(text.encode())
    for keys, node in _file(tree.root_node):
        for length in range(1, len(keys) + 1):
            lines.setdefault(keys[:length], node.start_point.row + 1)
    return lines


def _file(root: Node) -> Iterator[tuple[Keys, Node]]:
    elements: Counter[Keys] = Counter()
    for node in root.children:
        if node.type == "pair":
            yield from _pair((), node)
        elif node.type in ("table", "table_array_element"):
            above = _header(node, elements)
            yield above, node
            for pair in node.children:
                if pair.type == "pair":
                    yield from _pair(above, pair)


def _header(node: Node, elements: Counter[Keys]) -> Keys:
    """Below which keys a table is. Of a list of tables on the way there the last is meant."""
    above: Keys = ()
    *way, last = _named(node)
    for key in way:
        above = _last(elements, (*above, key))
    above = (*above, last)
    if node.type == "table":
        return above
    elements[above] += 1
    return _last(elements, above)


def _last(elements: Counter[Keys], keys: Keys) -> Keys:
    return (*keys, elements[keys] - 1) if keys in elements else keys


def _pair(above: Keys, node: Node) -> Iterator[tuple[Keys, Node]]:
    keys = (*above, *_named(node))
    yield keys, node
    # A comment behind the value is part of the pair, too.
    values = (each for each in node.children if each.type not in (*_KEYS, "=", "comment"))
    yield from _value(keys, next(values))


def _value(keys: Keys, node: Node) -> Iterator[tuple[Keys, Node]]:
    if node.type == "inline_table":
        for pair in node.children:
            if pair.type == "pair":
                yield from _pair(keys, pair)
    elif node.type == "array":
        values = (each for each in node.children if each.type not in _NO_VALUES)
        for number, value in enumerate(values):
            yield (*keys, number), value
            yield from _value((*keys, number), value)


def _named(node: Node) -> list[str]:
    """The names that the key of a pair or of a table has, as tomllib reads it."""
    key = next(each for each in node.children if each.type in _KEYS)
    found: list[str] = []
    rest: object = tomllib.loads(f"{(key.text or b'').decode()} = 0")
    while isinstance(rest, dict):
        ((name, rest),) = rest.items()
        found.append(name)
    return found
