# SPDX-License-Identifier: GPL-2.0-only
"""Whatever the pieces are in which it comes, the lines are the same, and none is too long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.guest.linecutter import LINE_BYTES, OVERLAP, LineCutter, Piece

DATA = st.binary(max_size=60)


def lines(cutter: LineCutter, *chunks: bytes) -> list[Piece]:
    return [piece for chunk in chunks for piece in cutter.feed(chunk)]


def test_lines_and_the_rest() -> None:
    cutter = LineCutter()
    assert lines(cutter, b"on", b"e\n\rtwo\n\rth", b"ree") == [Piece("one"), Piece("two")]
    assert cutter.rest == Piece("three")
    assert lines(cutter, b"\n") == [Piece("three")]
    assert cutter.rest == Piece("")


def test_long_line_is_cut_and_says_what_was_before() -> None:
    cutter = LineCutter()
    (piece,) = lines(cutter, b"a" * LINE_BYTES + b"b")
    assert piece == Piece("a" * LINE_BYTES, cut=True)
    assert cutter.rest == Piece("b", "a" * OVERLAP)
    assert lines(cutter, b"\nc\n") == [Piece("b", "a" * OVERLAP), Piece("c")]


@given(st.lists(DATA, max_size=20))
def test_pieces_make_no_difference(chunks: list[bytes]) -> None:
    whole, parts = LineCutter(), LineCutter()
    assert lines(whole, b"".join(chunks)) == lines(parts, *chunks)
    assert whole.rest == parts.rest
