# SPDX-License-Identifier: GPL-2.0-only
"""Faults made from the syntax: what each operator makes, and how they are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tree_sitter import Node

from harness.base import paths
from harness.kernel import module
from harness.mutate import csource, syntax
from harness.mutate.operators import OPERATORS
from harness.mutate.syntax import Fault


def made(body: str, operator: str) -> list[tuple[str, str]]:
    """The text of each fault of an operator in a function with this body, and its new line."""
    text = f"static int f(struct s *s, int x)\n{{\n{body}\n}}\n"
    return [
        (fault.text, "\n".join(fault.new).strip())
        for fault in syntax.faults("x.c", text.encode())
        if fault.operator == operator
    ]


@pytest.mark.parametrize(
    ("operator", "body", "expected"),
    [
        ("negate", "if (x) g();", [("x", "if (!(x)) g();")]),
        ("negate", "if (!x) g();", [("!x", "if (x) g();")]),
        ("negate", "while (x < 3) x++;", [("x < 3", "while (!(x < 3)) x++;")]),
        ("negate", "if (x) g(); else h();", []),
        ("swap", "if (x) g(); else h();", [("x", "if (!(x)) g(); else h();")]),
        ("swap", "return x ? s : 0;", [("x", "return !(x) ? s : 0;")]),
        # What is in a macro's parentheses is no condition; what it is run for is looked at.
        ("negate", "list_for_each_entry(a, b, c) if (a) g();", None),
        ("drop", "return x && s;", [("s", "return x;"), ("x", "return s;")]),
        (
            "drop",
            "if (a || b || c) g();",
            [("c", "if (a || b) g();"), ("b", "if (a || c) g();"), ("a", "if (b || c) g();")],
        ),
        ("boundary", "return x <= 3;", [("x <= 3", "return x < 3;")]),
        ("equality", "return x == 3;", [("x == 3", "return x != 3;")]),
        ("equality", "if (x == 3) g();", []),
        ("constant", "x = 3UL;", [("x = 3UL", "x = 4UL;")]),
        ("constant", "x = 0x0f;", [("x = 0x0f", "x = 0x10;")]),
        ("constant", "x = 07;", [("x = 07", "x = 010;")]),
        ("constant", "return true;", [("return true", "return false;")]),
        ("errno", "return -EINVAL;", [("return -EINVAL", "return 0;")]),
        ("bits", "x = a | b;", [("b", "x = a;"), ("a", "x = b;")]),
        ("bits", "x = a & ~b;", [("a & ~b", "x = a | ~b;"), ("~b", "x = a & b;")]),
        ("arithmetic", "x = a + b;", [("a + b", "x = a - b;")]),
        ("arithmetic", "x |= b;", [("x |= b", "x = b;")]),
        ("call", "g(s, x);", [("g(s, x)", ";")]),
        ("assign", "s->y = x;", [("s->y = x", ";")]),
        ("assign", "x++;", [("x++", ";")]),
        ("jump", "if (x) return 1;\nreturn 2;", [("return 1", "if (x) ;")]),
        ("jump", "if (x) goto out;\nout:\nreturn 2;", [("goto out", "if (x) ;")]),
        ("jump", "for (;;) { if (x) break; }", [("break", "for (;;) { if (x) ; }")]),
        ("case", "switch (x) { case A: g(); default: h(); }", None),
        ("put", "kfree_skb(skb);", [("kfree_skb(skb)", ";")]),
        ("put", "divert_pending_put(p);", [("divert_pending_put(p)", ";")]),
        ("get", "dev_hold(dev);", [("dev_hold(dev)", ";")]),
        ("lock", "spin_lock(&l); g(); spin_unlock(&l);", [("spin_lock(&l)", "; g(); ;")]),
        # Both ways of giving it back, and none of another lock's.
        (
            "lock",
            "rcu_read_lock(); if (x) { rcu_read_unlock(); } up(m);\nrcu_read_unlock();",
            [("rcu_read_lock()", "; if (x) { ; } up(m);\n;")],
        ),
        # What is given back elsewhere stays.
        ("lock", "spin_lock(&l);", []),
        ("call", "spin_lock(&l); spin_unlock(&l);", []),
    ],
)
def test_operator(operator: str, body: str, expected: list[tuple[str, str]] | None) -> None:
    found = made(body, operator)
    if expected is None:
        assert len(found) == 1
    else:
        assert found == expected


def test_table_and_number_of_a_macro() -> None:
    text = b"#define N 5\nstatic struct p q = {\n\t.bind = b,\n\t.hash = h,\n};\n"
    found = {fault.name: fault.new for fault in syntax.faults("x.c", text)}
    assert found["x.c:N:constant:5"] == ("#define N 6",)
    assert found["x.c:q:initializer:.bind = b"] == ("\t",)


def test_a_line_more_elsewhere_changes_no_name() -> None:
    before = b"int f(void)\n{\n\tif (a)\n\t\treturn 1;\n\treturn 2;\n}\n"
    after = b"#include <b.h>\n\nint e(void)\n{\n\tg();\n\treturn 1;\n}\n\n" + before
    names = [fault.name for fault in syntax.faults("x.c", before)]
    assert names == [
        "x.c:f:negate:a",
        "x.c:f:jump:return 1",
        "x.c:f:constant:return 1",
        "x.c:f:constant:return 2",
    ]
    later = [fault.name for fault in syntax.faults("x.c", after)]
    assert later[-len(names) :] == names


def test_the_same_again_has_a_number_and_what_is_long_is_cut() -> None:
    text = b"void f(void)\n{\n\tg();\n\th();\n\tg();\n\tg(" + b"a" * 80 + b");\n}\n"
    names = [fault.name for fault in syntax.faults("x.c", text)]
    assert names[:3] == ["x.c:f:call:g()", "x.c:f:call:h()", "x.c:f:call:g()#2"]
    assert names[3].startswith("x.c:f:call:g(aaa")
    assert len(names[3]) < 90


def test_lines_stay_as_many() -> None:
    text = b"void f(void)\n{\n\tif (a &&\n\t    b)\n\t\tg(1,\n\t\t  2);\n}\n"
    for fault in syntax.faults("x.c", text):
        assert len(fault.old) == len(fault.new), fault.name


def sources() -> list[Path]:
    overlay = paths.PATCHES / "linux-2.2.12" / "divert" / "overlay"
    return sorted([*module.SOURCE.rglob("*.[ch]"), *overlay.rglob("*.[ch]")])


def applied(text: bytes, fault: Fault) -> bytes:
    lines = text.decode("latin-1").split("\n")
    here = slice(fault.first - 1, fault.first - 1 + len(fault.old))
    assert tuple(lines[here]) == fault.old, fault.name
    lines[here] = fault.new
    return "\n".join(lines).encode("latin-1")


def errors(node: Node) -> int:
    if not node.has_error:
        return 0
    here = node.type == "ERROR" or node.is_missing
    return here + sum(errors(child) for child in node.children)


def test_our_own_c_can_be_read() -> None:
    """What the grammar cannot read makes no mutants: a new word of the kernel's is noticed here."""
    unread = {
        f"{path.name}:{place.name}"
        for path in sources()
        for place in csource.parse(path.read_bytes()).places()
        if place.body.has_error
    }
    # typeof of a declaration; a macro that declares.
    assert unread <= {"conntrack.c:set_zone", "log.c:fw_log_over"}


@pytest.mark.slow
def test_every_fault_of_ours_is_c_still() -> None:
    for path in sources():
        text = path.read_bytes()
        before = errors(csource.parse(text).root)
        found = list(syntax.faults(path.name, text))
        assert {fault.operator for fault in found} <= OPERATORS.keys()
        assert len({fault.name for fault in found}) == len(found)
        # One of three: they are near five thousand.
        for fault in found[::3]:
            after = csource.parse(applied(text, fault)).root
            assert errors(after) <= before, fault.name
