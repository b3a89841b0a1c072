# SPDX-License-Identifier: GPL-2.0-only
"""Upstream's archives: each is missed on its own, with what it gives, and all are told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import MissingSourceError, UserError
from harness.matrix import availability, kernels, variants
from tests.unit.support.toybuilds import Builds, archives

LINUX, IPCHAINS = "linux-2.2.12", "ipchains-1.3.9"


@pytest.fixture(autouse=True)
def _builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(tmp_path, monkeypatch)


def test_what_is_missing_is_told_all_at_once() -> None:
    missing = availability.look().missing
    assert list(missing) == [LINUX, IPCHAINS]
    assert "Linux 2.2.12 is not on this machine" in missing[LINUX].message
    assert "ipchains 1.3.9 is not on this machine" in missing[IPCHAINS].message
    for error in missing.values():
        assert "no network for" in error.message
        assert str(paths.downloads_dir()) in error.hint


def test_nothing_is_missing_where_it_is_given_or_was_downloaded(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    given = [f"{LINUX}={tmp_path / 'tree'}"]
    assert list(availability.look(given).missing) == [IPCHAINS]
    archives(f"{IPCHAINS}.tar.gz")
    assert not availability.look(given).missing


def test_source_that_is_given_wrongly_is_not_taken_for_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no .*nowhere"):
        availability.look([f"{LINUX}={tmp_path / 'nowhere'}"])


def test_only_what_is_built_from_a_source_cannot_be_without_it() -> None:
    reference, modern = kernels.named(kernels.REFERENCE), kernels.named("linux-6.1")
    archives(f"{LINUX}.tar.gz")
    availability.look().require(reference)
    (paths.downloads_dir() / f"{LINUX}.tar.gz").rename(paths.downloads_dir() / f"{IPCHAINS}.tar.gz")
    found = availability.look()
    found.require(modern)
    with pytest.raises(MissingSourceError, match="Linux"):
        found.require(reference)


def test_what_each_gives() -> None:
    base = variants.named("base")
    archives(f"{LINUX}.tar.gz")
    found = availability.look()
    assert found.lacks(base) == {"ipchains": IPCHAINS}
    assert {"ipchains", "reference-headers"} & set(found.has(base)) == {"reference-headers"}
    archives(f"{IPCHAINS}.tar.gz")
    assert not availability.look().lacks(base)
    assert "ipchains" in availability.look().has(base)
