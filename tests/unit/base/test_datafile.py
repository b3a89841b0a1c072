# SPDX-License-Identifier: GPL-2.0-only
"""A data file is what its schema says, or it is told on which line it is not, and what could be."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from harness.base import datafile, paths
from harness.base.datafile import Fault, Schema, Table
from harness.base.errors import UserError


class Part(Table, frozen=True, kw_only=True, rename="kebab"):
    size_mib: Annotated[int, Meta(ge=1)]
    factor: float = 1.0


class Row(Table, frozen=True, kw_only=True):
    what: str
    user: Literal["root", "plain"] = "root"
    day: datetime.date | None = None
    words: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    either: str | Part = ""
    several: dict[str, str | tuple[str, ...]] = msgspec.field(default_factory=dict)
    some: Annotated[frozenset[str], Meta(min_length=1)] = frozenset({"a"})


DATA = Schema(dict[str, Row], "tests/unit/base/nothing.toml")
# It is no file of the project's.
Schema.known.remove(DATA)

GOOD = """\
[first]
what = "all of it"
user = "plain"
day = 2026-11-30
words = ["a", "b"]
parts = [{ size-mib = 1 }, { size-mib = 2, factor = 3 }]
either = { size-mib = 3 }
several = { a = "b", c = ["d"] }
some = ["x"]

[second]
what = "the least"
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    return tmp_path / "some.toml"


def refused(file: Path, content: str | bytes) -> list[str]:
    """What is said of a file with this content, without its name."""
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as caught:
        DATA.read(file)
    assert not caught.value.hint
    lines = caught.value.message.splitlines()
    assert all(line.startswith(f"{file}:") for line in lines)
    return [line.removeprefix(f"{file}:") for line in lines]


def test_what_it_says(file: Path) -> None:
    file.write_text(GOOD)
    first, second = DATA.read(file).values()
    assert first == Row(
        what="all of it",
        user="plain",
        day=datetime.date(2026, 11, 30),
        words=("a", "b"),
        parts=(Part(size_mib=1), Part(size_mib=2, factor=3.0)),
        either=Part(size_mib=3),
        several={"a": "b", "c": ("d",)},
        some=frozenset({"x"}),
    )
    assert second == Row(what="the least")
    # What one has read is its own.
    first.several["new"] = ""
    assert "new" not in DATA.read(file)["first"].several


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "user = ",
            "usr = ",
            "3: first.usr: no such key, did you mean user? known: what, user, day",
        ),
        ("user = ", "zzz = ", "3: first.zzz: no such key; known: what, user, day, words, parts"),
        ('"plain"', '"plan"', "3: first.user: plan is not known, did you mean plain? known: root,"),
        ('"plain"', "3", "3: first.user: expected string, got integer"),
        ("2026-11-30", '"2026-11-30"', "4: first.day: expected date, got string"),
        ("2026-11-30", "2026-11-30 12:00:00", "4: first.day: expected date, got datetime"),
        ('["a", "b"]', '"ab"', "5: first.words: expected list, got string"),
        ('["a", "b"]', '["a",\n# b\n1]', "7: first.words[2]: expected string, got integer"),
        ("size-mib = 2", "size_mib = 2", "6: first.parts[2]: lacks size-mib"),
        (
            "size-mib = 2",
            "size-mib = 2.0",
            "6: first.parts[2].size-mib: expected integer, got float",
        ),
        (
            "size-mib = 2",
            "size-mib = true",
            "6: first.parts[2].size-mib: expected integer, got bool",
        ),
        ("size-mib = 2", "size-mib = 0", "6: first.parts[2].size-mib: expected integer >= 1"),
        (
            "{ size-mib = 3 }",
            "{ size-mib = [] }",
            "7: first.either.size-mib: expected integer, got li",
        ),
        ("{ size-mib = 3 }", "4", "7: first.either: expected string | table, got integer"),
        ('["d"]', "[1]", "8: first.several.c[1]: expected string, got integer"),
        ('["x"]', "[]", "9: first.some: expected list of length >= 1"),
        ('what = "the least"\n', "", "11: second: lacks what"),
        ("[second]", "[second.deeper]", "11: second.deeper: no such key"),
        ("[second]", "['a b'.deeper]", '11: "a b".deeper: no such key'),
        ("[second]", "[[second]]", "11: second: expected table, got list"),
        # What is no TOML at all.
        ("[second]", "[first]", "11: no TOML: Cannot declare ('first',) twice"),
        ("[second]", "what = 1", "11: no TOML: Cannot overwrite a value"),
        ('"the least"', '"the', "12: no TOML: Illegal character"),
        ('"the least"', '"""the least', "12: no TOML: Unterminated string"),
        ('"the least"', "", "12: no TOML: Invalid value"),
        ("[first]", "\ufeff[first]", "1: no TOML: Invalid statement"),
    ],
)
def test_what_is_wrong(file: Path, old: str, new: str, says: str) -> None:
    assert GOOD.count(old)
    assert any(line.startswith(says) for line in refused(file, GOOD.replace(old, new, 1)))


def test_all_that_is_wrong_is_told_in_the_order_of_the_lines(file: Path) -> None:
    text = GOOD.replace("user", "usr").replace("= 2026", "= 0").replace('"the least"', "1")
    said = refused(file, text.replace("0-11-30", "0"))
    assert [line.split(": ")[:2] for line in said] == [
        ["3", "first.usr"],
        ["4", "first.day"],
        ["12", "second.what"],
    ]


def test_bytes_that_are_no_text(file: Path) -> None:
    assert refused(file, GOOD.encode().replace(b"least", b"l\xe4\xdft")) == [
        "12: not UTF-8, as TOML has to be"
    ]
    assert refused(file, GOOD.encode("utf-16"))[0].startswith("1: not UTF-8")


def test_lines_of_another_system(file: Path) -> None:
    file.write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert DATA.read(file)["second"].what == "the least"
    assert refused(file, GOOD.replace("user", "usr").replace("\n", "\r\n"))[0].startswith("3: ")


def test_lists_in_lists_without_an_end(file: Path) -> None:
    file.write_text(f"a = {'[' * 5000}{']' * 5000}\n")
    with pytest.raises(UserError, match="too many lists"):
        DATA.read(file)


def test_file_that_cannot_be_read(file: Path) -> None:
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            DATA.read(file)
        assert caught.value.message.startswith(f"cannot use {file}: ")
        file.mkdir(exist_ok=True)


def test_name_of_a_file_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafile, "_ROOT", tmp_path)
    with pytest.raises(UserError, match=r"^cannot use tests/unit/base/nothing\.toml: No such file"):
        DATA.read()
    file = tmp_path / DATA.where
    file.parent.mkdir(parents=True)
    file.write_text("\n[a]\n")
    with pytest.raises(UserError, match=r"^tests/unit/base/nothing\.toml:2: a: lacks what$"):
        DATA.read()


def test_what_no_type_tells(file: Path) -> None:
    file.write_text(GOOD)
    DATA.refuse((), file)
    wrong = [
        Fault(("second", "kernel"), "is nowhere"),
        *datafile.each_among(("first", "words"), DATA.read(file)["first"].words, ["a", "bb"]),
    ]
    with pytest.raises(UserError) as caught:
        DATA.refuse(wrong, file)
    assert caught.value.message.splitlines() == [
        f"{file}:5: first.words[2]: b is not known, did you mean bb? known: a, bb",
        # What is not there is told where it should be.
        f"{file}:11: second.kernel: is nowhere",
    ]


def test_grammar_is_loaded_only_where_something_is_wrong() -> None:
    """Each command pays for what is imported at its begin."""
    code = (
        "import sys; from harness.matrix import statements; statements.load();"
        "print([name for name in sys.modules if name.startswith('tree_sitter')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=paths.ROOT,
        env={"PYTHONPATH": str(paths.ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "[]\n"
