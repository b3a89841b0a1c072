# SPDX-License-Identifier: GPL-2.0-only
"""C of a kernel as a syntax tree (tree-sitter), with the functions and tables that are in it.

The grammar knows no preprocessor: words of the kernel's that are no C as they stand are blanked
out, or replaced by a word as long that is, so that what the tree says of places holds for the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_c
from tree_sitter import Language, Node, Parser

_LANGUAGE = Language(tree_sitter_c.language())

# Attributes, and a macro of ours for one more parameter.
_WORDS = re.compile(
    rb"\b(__init|__exit|__initfunc|__initdata|__net_init|__net_exit|__user|__rcu|__percpu"
    rb"|__read_mostly|__force|noinline|asmlinkage|DIVERT_NAME_LENGTH)\b"
)
# A loop that is a macro: a while, so that what is in it is a statement's.
_LOOP = re.compile(rb"\b(?:\w*for_each\w*|skb_queue_walk|skb_list_walk_safe)(?=\()")
# A type as an argument, which a macro takes; a name is one, too, and an expression besides.
_TYPE = re.compile(rb"(?<=[(,])(\s*)(struct|union|enum|unsigned)(?=\s+\w+\s*\**\s*[,)])")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A function with a body, or a table that is initialized at the top: its name and its tree;
    what is said of it, in comments before it and in it.
    """

    name: str
    body: Node
    comments: str = ""


def masked(text: bytes) -> bytes:
    """The text as the grammar takes it, of the same length and with the same lines (pure)."""
    text = _WORDS.sub(lambda found: b" " * len(found[0]), text)
    text = _LOOP.sub(lambda found: b"while".ljust(len(found[0])), text)
    return _TYPE.sub(lambda found: found[1] + b" " * len(found[2]), text)


@dataclass(frozen=True)
class Source:
    """A file of C, and its tree. What is no C is in that as nodes of the type ERROR."""

    text: bytes
    root: Node

    def of(self, node: Node) -> str:
        """A node's text, as it is in the file."""
        return self.text[node.start_byte : node.end_byte].decode("latin-1")

    def places(self) -> Iterator[Place]:
        """The functions and tables, those between #if and #endif too, in their order."""
        return self._places(self.root)

    def _places(self, root: Node) -> Iterator[Place]:
        for node in root.named_children:
            if node.type == "function_definition":
                yield from self._place(node, "declarator", node.child_by_field_name("body"))
            elif node.type == "declaration":
                for each in node.children_by_field_name("declarator"):
                    if each.type == "init_declarator":
                        yield from self._place(each, "declarator", _value(each))
            elif node.type == "preproc_def":
                yield from self._place(node, "name", _value(node))
            elif node.type.startswith("preproc_"):
                yield from self._places(node)

    def _place(self, node: Node, field: str, body: Node | None) -> Iterator[Place]:
        """What is declared by the name that is within pointers, brackets and parentheses."""
        inner = node.child_by_field_name(field)
        while inner is not None and inner.type not in ("identifier", "field_identifier"):
            within = inner.child_by_field_name("declarator")
            inner = within or next(iter(inner.named_children), None)
        if inner is not None and body is not None:
            yield Place(self.of(inner), body, self._comments(node, body))

    def _comments(self, node: Node, body: Node) -> str:
        found = []
        before = node.prev_named_sibling
        while before is not None and before.type == "comment":
            found.append(self.of(before))
            before = before.prev_named_sibling
        return "\n".join([*reversed(found), *_COMMENT.findall(self.of(body))])


def _value(node: Node) -> Node | None:
    return node.child_by_field_name("value")


def parse(text: bytes) -> Source:
    """A file of C (pure)."""
    return Source(text, Parser(_LANGUAGE).parse(masked(text)).root_node)
