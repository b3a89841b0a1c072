# SPDX-License-Identifier: GPL-2.0-only
"""Fingerprints change with content, names and boundaries, and with nothing else."""

from __future__ import annotations

from pathlib import Path

from harness.base import fingerprint


def test_boundaries_count() -> None:
    assert fingerprint.of_bytes("ab", "c") != fingerprint.of_bytes("a", "bc")
    assert fingerprint.of_bytes("ab") == fingerprint.of_bytes(b"ab")


def test_file_is_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1.
    assert fingerprint.of_file(path).startswith("ba7816bf8f01cfea")


def test_tree_depends_on_names_and_content_not_on_place(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "sub").mkdir(parents=True)
        (tmp_path / place / "sub" / "file").write_text("text")
    assert fingerprint.of_tree(tmp_path / "one") == fingerprint.of_tree(tmp_path / "two")
    (tmp_path / "two" / "sub" / "file").rename(tmp_path / "two" / "sub" / "other")
    assert fingerprint.of_tree(tmp_path / "one") != fingerprint.of_tree(tmp_path / "two")
