# SPDX-License-Identifier: GPL-2.0-only
"""The list of mutants fits the series as it is, and says only what is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.kernel import kernel
from harness.matrix import configurations, statements, variants
from harness.mutate import edit as mutate_edit
from harness.mutate import mutants as mutate_list
from harness.mutate.edit import ENCODING
from harness.mutate.mutants import IPCHAINS, LeftOut, Mutant
from harness.upstream import patches, patchfile


@pytest.fixture(scope="module")
def loaded() -> tuple[tuple[Mutant, ...], tuple[LeftOut, ...]]:
    return mutate_list.load()


def test_every_hunk_is_a_mutant_or_left_out(
    loaded: tuple[tuple[Mutant, ...], tuple[LeftOut, ...]],
) -> None:
    mutants, left_out = loaded
    parts = [*patches.load_parts(kernel.SOURCE, ("divert",)), *patches.load_all(IPCHAINS)]
    hunks = [place for part in parts for place in mutate_edit.hunks(part)]
    of_hunks = [mutant for mutant in mutants if ":" in mutant.name and mutant.fault is None]
    assert len(of_hunks) + len(left_out) == len(hunks)
    assert all(row.reason for row in left_out)


def test_words_are_known(loaded: tuple[tuple[Mutant, ...], tuple[LeftOut, ...]]) -> None:
    known = statements.load().keys()
    kernels = variants.load().keys() | configurations.rows().keys()
    for mutant in loaded[0]:
        assert mutant.breaks or mutant.fault, mutant.name
        assert set(mutant.breaks) <= known, mutant.name
        assert mutant.variants, mutant.name
        assert set(mutant.variants) <= kernels, mutant.name


def test_every_mutant_applies(
    loaded: tuple[tuple[Mutant, ...], tuple[LeftOut, ...]], tmp_path: Path
) -> None:
    for number, mutant in enumerate(loaded[0]):
        edit = mutant.edit
        assert edit.old != edit.new, mutant.name
        overlaid = paths.PATCHES / edit.part / patches.OVERLAY / edit.file
        if edit.part == mutate_list.MODULE:
            edit.apply((paths.ROOT / edit.file).read_text(encoding=ENCODING))
        elif overlaid.is_file():
            edit.apply(overlaid.read_text(encoding=ENCODING))
        else:
            path = tmp_path / f"{number}.patch"
            path.write_text(edit.diff, encoding=ENCODING)
            (change,) = patchfile.parse(path).changes
            assert change.new == edit.file


def listed(folder: Path, hunks: str = "", mutants: str = "") -> Path:
    """A folder with a list of its own."""
    (folder / "hunks.toml").write_text(hunks)
    (folder / "socket.toml").write_text(mutants)
    (folder / "syntax.toml").write_text("")
    return folder


ROW = """
[[mutant]]
name = "bind-byte-order"
file = "net/ipv4/ip_divert.c"
old = "return NOT THERE;"
new = ""
breaks = ["S3"]
"""


def test_mutant_that_does_not_apply_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"socket\.toml:2: mutant\[1\]: mutant bind-byte-order: net/ipv4/ip_divert\.c has 0",
    ):
        mutate_list.load(listed(tmp_path, mutants=ROW))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('["S3"]', '["S33"]', "7: mutant[1].breaks[1]: S33 is not known, did you mean S3? known"),
        ("breaks", "breakes", "7: mutant[1].breakes: no such key, did you mean breaks? known: "),
        ("[[mutant]]", "[[hunk]]", "2: hunk: no such key; known: mutant"),
        ('new = ""\n', "", "2: mutant[1]: lacks new"),
        (
            "breaks",
            'variants = ["bsae"]\nbreaks',
            "7: mutant[1].variants[1]: bsae is not known",
        ),
        (
            "breaks",
            'source = "linux"\nbreaks',
            "there is no source linux; known: linux",
        ),
    ],
)
def test_row_that_says_what_there_is_not(tmp_path: Path, old: str, new: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        mutate_list.load(listed(tmp_path, mutants=ROW.replace(old, new)))
    assert says in caught.value.message
    assert caught.value.message.startswith(f"{tmp_path}/socket.toml:")


def test_names_are_unique(tmp_path: Path) -> None:
    row = ROW.replace("return NOT THERE;", "divert_lookup(unsigned short port)")
    with pytest.raises(
        UserError,
        match=r"socket\.toml:10: mutant\[2\]\.name: two mutants have the name bind-byte-order",
    ):
        mutate_list.load(listed(tmp_path, mutants=row * 2))


@pytest.mark.parametrize(
    ("hunks", "said"),
    [
        (
            '[[hunk]]\npatch = "linux-2.2.12/divert/0099-*"\n',
            r":1: hunk\[1\]: a row for no",
        ),
        (
            '[[hunk]]\npatch = "*0005-*"\nnumber = 2\n' * 2,
            r":4: hunk\[2\]: more than one row for 0005:",
        ),
    ],
    ids=["none", "two"],
)
def test_row_is_of_its_own_hunks(tmp_path: Path, hunks: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        mutate_list.load(listed(tmp_path, hunks))


def test_row_says_more_of_a_hunk(tmp_path: Path) -> None:
    hunks = '[[hunk]]\npatch = "*0005-forward.patch"\nfile = "net/ipv4/ipmr.c"\nnumber = 2\n'
    said = 'breaks = ["I7"]\nvariants = ["defrag"]\nsurvives = "why"\n'
    found = {m.name: m for m in mutate_list.load(listed(tmp_path, hunks + said))[0]}
    mutant = found["0005:net/ipv4/ipmr.c:2"]
    assert (mutant.breaks, mutant.variants, mutant.survives) == (("I7",), ("defrag",), "why")
    # Without a row, the patch's head says which statements it serves.
    assert "I2" in found["0005:net/ipv4/ip_forward.c:2"].breaks


SAID = """
[[fault]]
file = "module/*"
operator = "lock"
survives = "nobody comes between"
[[fault]]
file = "module/socket/sock.c"
function = "divert_bind"
operator = "drop"
text = "divert_listener(ports, port)"
survives = "why"
tests = ["test_bind"]
variants = ["linux-6.12:base"]
"""


def test_rows_of_what_is_made_from_the_syntax(tmp_path: Path) -> None:
    listed(tmp_path)
    (tmp_path / "syntax.toml").write_text(SAID)
    found = {m.name: m for m in mutate_list.load(tmp_path)[0]}
    one = found["module/socket/sock.c:divert_bind:drop:divert_listener(ports, port)"]
    assert (one.variants, one.tests, one.survives) == (("linux-6.12:base",), ("test_bind",), "why")
    assert one.kind == "drop"
    locks = [m for m in found.values() if m.kind == "lock"]
    assert {bool(m.survives) for m in locks if m.source == mutate_list.MODULE} == {True}
    assert {m.survives for m in locks if m.source == kernel.SOURCE} == {""}
    # A name may have commas itself.
    assert mutate_list.select(tuple(found.values()), one.name) == (one,)
    both = mutate_list.select(tuple(found.values()), f"{locks[0].name}, {one.name},{locks[1].name}")
    assert one in both
    assert len(both) == 3
    assert one in mutate_list.select(tuple(found.values()), "module/socket/*")


def test_row_is_of_a_fault_that_is_there(tmp_path: Path) -> None:
    listed(tmp_path)
    row = '[[fault]]\nfile = "module/socket/sock.c"\ntext = "no such text"\nsurvives = "why"\n'
    (tmp_path / "syntax.toml").write_text(row)
    with pytest.raises(UserError, match=r"syntax\.toml:1: fault\[1\]: a row for no fault"):
        mutate_list.load(tmp_path)


def test_selected_by_name_file_or_statement(
    loaded: tuple[tuple[Mutant, ...], tuple[LeftOut, ...]],
) -> None:
    mutants, _ = loaded
    assert [m.name for m in mutate_list.select(mutants, "bind-twice")] == ["bind-twice"]
    assert all(m.name.startswith("bind-") for m in mutate_list.select(mutants, "bind-*"))
    assert all("S9" in m.breaks for m in mutate_list.select(mutants, "S9"))
    assert len(mutate_list.select(mutants, "*/ip_forward.c")) > 3
    with pytest.raises(UserError, match="no mutant matches nonsense"):
        mutate_list.select(mutants, "nonsense")


def test_order_of_the_tests(loaded: tuple[tuple[Mutant, ...], tuple[LeftOut, ...]]) -> None:
    mutant = Mutant("m", "s", loaded[0][0].edit, breaks=("T1", "S3"), tests=("named",))
    proofs = {"a": ("S3/x",), "b": ("T1",), "c": ("R1",), "named[1]": ("R1",), "killer": ()}
    assert mutant.order(proofs, "killer") == ("killer", "named[1]", "b", "a")
    assert mutant.order(proofs, "gone") == ("named[1]", "b", "a")
