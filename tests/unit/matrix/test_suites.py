# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels that the module is for: the data, its rows, and what DKMS is told of them."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path

import msgspec
import pytest

from harness.base import paths
from harness.base.errors import UnavailableError, UserError
from harness.debian import packages
from harness.matrix import suites
from harness.matrix.suites import Debian, Difference

DKMS = paths.ROOT / "module/dkms.conf"

TOY = """
day = 2026-11-30
first = "6.1"
last = "7.3"
suites = { bookworm = "6.1.176-1", sid = "7.2.13-1" }
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file suites.toml of the test's own."""
    file = tmp_path / "suites.toml"
    monkeypatch.setattr(suites.DATA, "where", str(file))
    file.write_text(TOY)
    return file


@pytest.mark.usefixtures("file")
def test_what_the_data_says() -> None:
    known = {"bookworm": "6.1.176-1", "sid": "7.2.13-1"}
    day = datetime.date(2026, 11, 30)
    assert suites.load() == Debian(day=day, first="6.1", last="7.3", suites=known)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "suites.toml:1: lacks day\n.*lacks first\n.*lacks last\n.*lacks suites"),
        (TOY.replace("first", "frist"), "toml:3: frist: no such key, did you mean first"),
        (TOY.replace("2026-11-30", '"2026-11-30"'), "toml:2: day: expected date, got string"),
        (TOY.replace('"7.3"', "7.3"), "toml:4: last: expected string, got float"),
    ],
)
def test_data_that_is_not_as_it_should_be(file: Path, text: str, says: str) -> None:
    file.write_text(text)
    with pytest.raises(UserError, match=says):
        suites.load()


def test_each_suite_has_a_row_for_each_flavour() -> None:
    known = suites.load()
    assert suites.missing(known) == []
    more = msgspec.structs.replace(known, suites={**known.suites, "trixie": "9.9.1-1"})
    assert suites.missing(more) == [f"{name} of trixie" for name in suites.PACKAGES]


def test_first_and_last_are_the_oldest_and_the_newest() -> None:
    known = suites.load()
    every = sorted(
        (suites.series(version) for version in known.suites.values()),
        key=lambda text: [int(part) for part in text.split(".")],
    )
    assert (every[0], every[-1]) == (known.first, known.last)


@pytest.mark.parametrize(
    ("listed", "differ"),
    [
        ({"bookworm": "6.1.176-1", "sid": "7.2.13-1"}, []),
        ({"bookworm": "6.1.176-1", "sid": "7.4-1"}, [Difference("sid", "7.2.13-1", "7.4-1")]),
    ],
)
@pytest.mark.usefixtures("file")
def test_lists_that_have_other_kernels_than_on_that_day(
    listed: dict[str, str], differ: list[Difference], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "listed", lambda _name, _kind, suite: listed[suite])
    assert suites.differences(suites.load(), set(listed)) == (differ, [])
    # One that is not asked may have what it will.
    assert suites.differences(suites.load(), {"bookworm"}) == ([], [])


@pytest.mark.usefixtures("file")
def test_lists_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(*_: str) -> str:
        raise UnavailableError("no network")

    monkeypatch.setattr(packages, "listed", listed)
    assert suites.differences(suites.load(), {"sid"}) == ([], ["sid has today: no network"])


def _accepts(release: str) -> bool:
    """Whether DKMS builds for it: it reads the file as bash does, and asks its =~."""
    words = '. "$2" && [[ $1 =~ $BUILD_EXCLUSIVE_KERNEL ]]'
    done = subprocess.run(["bash", "-c", words, "bash", release, str(DKMS)], check=False)
    return done.returncode == 0


def test_dkms_is_told_the_same_kernels() -> None:
    known = suites.load()
    accepted = [suites.series(version) for version in known.suites.values()]
    for series in (known.first, known.last, *accepted):
        for rest in ("", ".0-50-amd64", ".4+deb13-rt-amd64", "-rc1"):
            assert _accepts(series + rest), series + rest
    # Next to them, and those that begin with the same figures.
    last, first = (list(map(int, text.split("."))) for text in (known.last, known.first))
    beyond = [
        f"{last[0]}.{last[1] + 1}.1",
        f"{last[0]}.{last[1]}0.1",
        f"{last[0] + 1}.{first[1]}.1",
        f"{first[0]}.{first[1] - 1}.1",
        f"{first[0] - 1}.19.1",
        f"1{first[0]}.{first[1]}.1",
    ]
    assert not [release for release in beyond if _accepts(release)]
