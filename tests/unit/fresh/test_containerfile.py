# SPDX-License-Identifier: GPL-2.0-only
"""Containerfile installs what setup does, and is such that a room can do what an engine would."""

from __future__ import annotations

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.fresh import containerfile
from harness.host import host

# What every image of Debian has.
IN_THE_IMAGE = {"apt", "dpkg", "tar", "gzip"}

TEXT = """
# A comment
FROM docker.io/library/debian:bookworm-slim
ENV A=1 B="two words"
WORKDIR /work
RUN apt-get update && apt-get install -y \\
    one \\
    # between
    two && rm -rf /var/lib/apt/lists/*
COPY . .
ENV A=2
RUN ./inv --list
VOLUME /cache
ENTRYPOINT ["./inv", "--x"]
"""


def test_what_it_says() -> None:
    recipe = containerfile.parse(TEXT)
    assert recipe.release == "bookworm"
    assert [step.instruction for step in recipe.steps] == ["RUN", "COPY", "RUN"]
    assert recipe.steps[0].environment == {"A": "1", "B": "two words"}
    assert recipe.steps[2].environment == {"A": "2", "B": "two words"}
    assert {step.folder for step in recipe.steps} == {"/work"}
    assert recipe.packages == ("one", "two")
    assert recipe.command("test -k 'a b'") == "./inv --x test -k 'a b'"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("FROM docker.io/library/debian:bookworm-slim", "FROM fedora", "FROM fedora"),
        ("FROM docker.io/library/debian:bookworm-slim", "", "no FROM"),
        ("COPY . .", "COPY a b", "COPY a b is not understood"),
        ("VOLUME", "USER", "USER /cache is not understood"),
        ('ENTRYPOINT ["./inv", "--x"]', "", "no ENTRYPOINT"),
        ('ENTRYPOINT ["./inv", "--x"]', "ENTRYPOINT ./inv", "ENTRYPOINT ./inv is not understood"),
    ],
)
def test_what_it_may_not_say(old: str, new: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        containerfile.parse(TEXT.replace(old, new))


def test_ours_installs_what_setup_installs() -> None:
    recipe = containerfile.parse((paths.ROOT / containerfile.NAME).read_text())
    assert recipe.entry_point == ("./inv",)
    assert recipe.environment["DIVERT_CACHE"] == "/cache"
    # The release's own compiler and Python; an image has no cross compiler to lose to gcc-multilib.
    own = {"{python}": "python3-venv", "{gcc}": "gcc", "{multilib}": "gcc-multilib"}
    wanted = {own.get(row.package, row.package) for row in host.load() if not row.task}
    assert sorted(recipe.packages) == sorted(wanted - IN_THE_IMAGE)
