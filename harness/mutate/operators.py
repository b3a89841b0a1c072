# SPDX-License-Identifier: GPL-2.0-only
"""What can be wrong in a piece of C: each operator makes other text of one node of its tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tree_sitter import Node

from harness.mutate.csource import Source

# The operators, with what each makes, for reports and for whoever names one.
OPERATORS = {
    "negate": "a condition is its opposite",
    "swap": "a condition with two branches is its opposite: they are swapped",
    "drop": "one side of && or || is left out",
    "boundary": "< is <=, <= is <, > is >=, >= is >",
    "equality": "== is !=, != is ==, within an expression",
    "constant": "a number is one more; true is false, false is true",
    "errno": "an error is 0",
    "bits": "one side of | or ^ is left out, & is |, << is >>, ~ is left out",
    "arithmetic": "+ is -, - is +, * is /, / is *, += is -=, -= is +=, |= and &= are =",
    "call": "a statement that calls a function is left out",
    "assign": "an assignment is left out",
    "jump": "return, goto, break or continue is left out, where it is not the function's end",
    "case": "a case of a switch is left out",
    "initializer": "a field of a table is not given",
    "lock": "a lock is not taken, nor given back",
    "put": "a reference or memory is not given back",
    "get": "a reference is not taken",
}
# What the tests of one processor's packets hardly see: other judges look for it.
UNSEEN_BY_NATURE = ("lock", "put", "get")

# How a lock is given back, by how it is taken.
_LOCKS = {
    "spin_lock": "spin_unlock",
    "spin_lock_bh": "spin_unlock_bh",
    "spin_lock_irq": "spin_unlock_irq",
    "spin_lock_irqsave": "spin_unlock_irqrestore",
    "read_lock": "read_unlock",
    "read_lock_bh": "read_unlock_bh",
    "write_lock": "write_unlock",
    "write_lock_bh": "write_unlock_bh",
    "mutex_lock": "mutex_unlock",
    "rcu_read_lock": "rcu_read_unlock",
    "rcu_read_lock_bh": "rcu_read_unlock_bh",
    "local_bh_disable": "local_bh_enable",
    "preempt_disable": "preempt_enable",
    "lock_sock": "release_sock",
    "rtnl_lock": "rtnl_unlock",
    "down": "up",
    "down_read": "up_read",
    "down_write": "up_write",
    "start_bh_atomic": "end_bh_atomic",
    "save_flags": "restore_flags",
}
_PUT = re.compile(r"(^|_)(put|free|kfree|vfree|release|purge|destroy)(_|$)|^k?v?z?free(_\w+)?$")
_GET = re.compile(r"(^|_)(get|hold|inc_not_zero)$|^(refcount_inc|try_module_get)")
_ERROR_NUMBER = re.compile(r"^-E[A-Z0-9]+$")
_NUMBER = re.compile(r"^(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)([uUlL]*)$")
_EQUALITIES = {"==": "!=", "!=": "=="}
_SIGNS = {
    "boundary": {"<": "<=", "<=": "<", ">": ">=", ">=": ">"},
    "equality": _EQUALITIES,
    "bits": {"&": "|", "<<": ">>", ">>": "<<"},
    "arithmetic": {"+": "-", "-": "+", "*": "/", "/": "*"},
}
_COMPOUND = {"+=": "-=", "-=": "+=", "|=": "=", "&=": "=", "^=": "="}
_CONDITIONAL = ("if_statement", "while_statement", "do_statement", "conditional_expression")
_CALL = "call_expression"
_AROUND = ("argument_list", "parenthesized_expression", "unary_expression")
_BLOCKS = ("compound_statement", "initializer_list", "translation_unit")
_JUMPS = ("return_statement", "goto_statement", "break_statement", "continue_statement")


@dataclass(frozen=True)
class Change:
    """What an operator makes: other text in the place of pieces of the file, by offset.

    `what` is the text that it is named by, `node` where it is.
    """

    operator: str
    node: Node
    pieces: tuple[tuple[int, int, str], ...]
    what: str


def changes(source: Source, body: Node) -> Iterator[Change]:
    """Every change of a function or a table (pure); none of what the grammar could not read."""
    return _Maker(source, body).all()


class _Maker:
    """The changes of one function or table."""

    def __init__(self, source: Source, body: Node) -> None:
        self._text = source.of
        self._body = body
        self._locks = self._find_locks()
        self._by_type: dict[str, Callable[[Node], Iterator[Change]]] = {
            **dict.fromkeys((*_CONDITIONAL, "for_statement"), self._condition),
            **dict.fromkeys(_JUMPS, self._jump),
            **dict.fromkeys(("true", "false"), self._truth),
            "binary_expression": self._binary,
            "number_literal": self._number,
            # The value of a #define is text to the grammar.
            "preproc_arg": self._number,
            "unary_expression": self._unary,
            "assignment_expression": self._compound,
            "case_statement": self._case,
            "initializer_pair": self._initializer,
            "expression_statement": self._statement,
        }

    def all(self) -> Iterator[Change]:
        for node in _within(self._body):
            if operator := self._by_type.get(node.type):
                yield from operator(node)

    def _made(self, operator: str, node: Node, new: str, what: Node | None = None) -> Change:
        piece = (node.start_byte, node.end_byte, new)
        return Change(operator, node, (piece,), self._text(what or node))

    def _is(self, node: Node, *signs: str) -> bool:
        """Whether an expression's operator is one of these."""
        operator = node.child_by_field_name("operator")
        return operator is not None and self._text(operator) in signs

    def _condition(self, node: Node) -> Iterator[Change]:
        if node.type == "while_statement" and not self._text(node).startswith("while"):
            # A macro's loop (csource): what is in its parentheses is no condition.
            return
        condition = node.child_by_field_name("condition")
        if condition is None:
            return
        inner = _bare(condition)
        branches = (
            node.type == "conditional_expression"
            or node.child_by_field_name("alternative") is not None
        )
        turned = f"!({self._text(inner)})"
        if inner.type == "unary_expression" and self._is(inner, "!"):
            turned = self._text(_field(inner, "argument"))
        new = f"({turned})" if condition.type == "parenthesized_expression" else turned
        yield self._made("swap" if branches else "negate", condition, new, what=inner)

    def _binary(self, node: Node) -> Iterator[Change]:
        sign = self._text(_field(node, "operator"))
        if sign in ("&&", "||"):
            yield from self._sides("drop", node, sign)
        elif sign in ("|", "^"):
            yield from self._sides("bits", node, sign)
        elif sign in _EQUALITIES and _is_condition(node):
            # To turn it round is what `negate` does.
            return
        for kind, signs in _SIGNS.items():
            if sign in signs:
                yield self._operator(kind, node, signs[sign])

    def _operator(self, kind: str, node: Node, new: str) -> Change:
        sign = _field(node, "operator")
        return Change(kind, node, ((sign.start_byte, sign.end_byte, new),), self._text(node))

    def _sides(self, kind: str, node: Node, sign: str) -> Iterator[Change]:
        """One of the two left out; of a chain of them each member once."""
        left, right = _field(node, "left"), _field(node, "right")
        yield self._made(kind, node, self._text(left), what=right)
        if left.type != node.type or not self._is(left, sign):
            yield self._made(kind, node, self._text(right), what=left)

    def _number(self, node: Node) -> Iterator[Change]:
        if found := _NUMBER.match(self._text(node).strip()):
            new = _one_more(found[1]) + found[2]
            yield self._made("constant", node, new, what=_around(node))

    def _truth(self, node: Node) -> Iterator[Change]:
        new = "false" if node.type == "true" else "true"
        yield self._made("constant", node, new, what=_around(node))

    def _unary(self, node: Node) -> Iterator[Change]:
        if _ERROR_NUMBER.match(self._text(node)):
            yield self._made("errno", node, "0", what=_around(node))
        elif self._is(node, "~"):
            yield self._made("bits", node, self._text(_field(node, "argument")))

    def _compound(self, node: Node) -> Iterator[Change]:
        sign = self._text(_field(node, "operator"))
        if sign in _COMPOUND:
            yield self._operator("arithmetic", node, _COMPOUND[sign])

    def _jump(self, node: Node) -> Iterator[Change]:
        """Left out where the function goes on behind it."""
        inner, outer = node, node.parent
        while outer is not None and outer.type in ("labeled_statement", "compound_statement"):
            if outer.type == "compound_statement" and outer.named_children[-1] != inner:
                break
            inner, outer = outer, outer.parent
        if outer is None or outer.type != "function_definition":
            yield self._made("jump", node, ";")

    def _case(self, node: Node) -> Iterator[Change]:
        value = node.child_by_field_name("value")
        colon = next((child for child in node.children if child.type == ":"), None)
        if value is not None and colon is not None:
            piece = (node.start_byte, colon.end_byte, "")
            yield Change("case", value, (piece,), self._text(value))

    def _initializer(self, node: Node) -> Iterator[Change]:
        after = node.next_sibling
        end = after.end_byte if after is not None and after.type == "," else node.end_byte
        yield Change("initializer", node, ((node.start_byte, end, ""),), self._text(node))

    def _statement(self, node: Node) -> Iterator[Change]:
        """A statement that is an expression, left out."""
        inner = next(iter(node.named_children), None)
        if inner is None:
            return
        if inner.type in ("assignment_expression", "update_expression"):
            yield self._made("assign", node, ";", what=inner)
        elif inner.type == "call_expression":
            yield from self._call(node, inner)

    def _call(self, node: Node, call: Node) -> Iterator[Change]:
        name = self._text(_field(call, "function"))
        if node.start_byte in self._locks:
            group = (node, *self._locks[node.start_byte])
            pieces = tuple((each.start_byte, each.end_byte, ";") for each in group)
            yield Change("lock", node, pieces, self._text(call))
        elif name not in _LOCKS and name not in _LOCKS.values():
            kind = "put" if _PUT.search(name) else "get" if _GET.search(name) else "call"
            yield self._made(kind, node, ";", what=call)

    def _find_locks(self) -> dict[int, tuple[Node, ...]]:
        """Where a lock is taken, by offset, and the statements that give it back: those behind
        that name it, up to where it is taken again.
        """
        found: dict[int, tuple[Node, ...]] = {}
        taken: dict[tuple[str, str], int] = {}
        for node in _within(self._body):
            call = next(iter(node.named_children), None)
            if node.type != "expression_statement" or call is None or call.type != _CALL:
                continue
            name = self._text(_field(call, "function"))
            arguments = _field(call, "arguments").named_children
            which = self._text(arguments[0]) if arguments else ""
            if name in _LOCKS:
                taken[_LOCKS[name], which] = node.start_byte
                found[node.start_byte] = ()
            elif (name, which) in taken:
                at = taken[name, which]
                found[at] = (*found[at], node)
        return {at: releases for at, releases in found.items() if releases}


def _within(node: Node) -> Iterator[Node]:
    if node.type == "ERROR" or node.is_missing:
        return
    if not node.has_error:
        yield node
    for child in node.children:
        yield from _within(child)


def _field(node: Node, name: str) -> Node:
    found = node.child_by_field_name(name)
    assert found is not None, (node.type, name)
    return found


def _bare(node: Node) -> Node:
    """An expression without the parentheses around it."""
    while node.type == "parenthesized_expression" and node.named_child_count == 1:
        node = node.named_children[0]
    return node


def _around(node: Node) -> Node:
    """What a number is named by: the expression or statement that it is in."""
    outer = node.parent if node.type != "preproc_arg" else None
    while outer is not None and outer.type in _AROUND:
        outer = outer.parent
    return node if outer is None or outer.type in _BLOCKS else outer


def _is_condition(node: Node) -> bool:
    outer = node.parent
    while outer is not None and outer.type == "parenthesized_expression":
        outer = outer.parent
    return (
        outer is not None
        and outer.type in _CONDITIONAL
        and _bare(_field(outer, "condition")) == node
    )


def _one_more(digits: str) -> str:
    if digits[:2] in ("0x", "0X"):
        return f"{int(digits, 16) + 1:#x}"
    if digits[0] == "0":
        return f"0{int(digits, 8) + 1:o}" if digits != "0" else "1"
    return str(int(digits) + 1)
