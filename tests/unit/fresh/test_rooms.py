# SPDX-License-Identifier: GPL-2.0-only
"""The rooms as data: what the file has, and what it may not have."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.fresh import containerfile, rooms
from harness.matrix import kernels
from tests.unit.support.toml import toml

SHORT = {"seconds": 1, "both": ["./inv a"], "kernel": ["./inv b"], "none": ["./inv c {kernel}"]}


def parsed(**row: Any) -> rooms.Plan:
    """The plan of a file in which one room has this row."""
    data = {
        "short": SHORT,
        "full": {"seconds": 2},
        "commands": {"own": ["./inv d"]},
        "room": {"one": {"release": "bookworm"} | row, "two": {"release": "trixie"}},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write("".join(f"{key} = {toml(value)}\n" for key, value in data.items()))
        file.flush()
        return rooms.load(Path(file.name))


def test_file_is_what_it_says() -> None:
    plan = rooms.load()
    assert {"bookworm", "trixie", "forky", "sid"} <= {row.release for row in plan.rooms.values()}
    assert {row.user for row in plan.rooms.values()} == set(rooms.USERS)
    assert {row.network for row in plan.rooms.values()} == set(rooms.NETWORKS)
    assert {row.archives for row in plan.rooms.values()} == set(rooms.ARCHIVES)
    for row in plan.rooms.values():
        assert Path(row.home_folder).is_absolute()
        assert Path(row.checkout_folder).is_absolute()
        assert int(row.umask, 8) < 0o1000
        for archives in rooms.ARCHIVES:
            assert plan.short_commands(row, archives)


def test_a_release_has_one_room_that_is_checked() -> None:
    checked = [row.release for row in rooms.load().rooms.values() if row.check]
    assert sorted(checked) == sorted(set(checked))
    room = rooms.load().checked("bookworm")
    assert room
    # Nearly every developer has it, and it hid a fault for long.
    assert "build-essential" in room.packages
    assert rooms.load().checked("noble") is None


def test_container_is_of_the_release_that_its_file_is_of() -> None:
    recipe = containerfile.parse((paths.ROOT / containerfile.NAME).read_text())
    built = [row.release for row in rooms.load().rooms.values() if row.containerfile]
    assert built == [recipe.release]


def test_selected_by_name() -> None:
    plan = parsed()
    assert [row.name for row in plan.select(None)] == ["one", "two"]
    assert [row.name for row in plan.select("two, one,two")] == ["two", "one"]
    for names in ("three", "", ","):
        with pytest.raises(UserError, match=r"no room"):
            plan.select(names)


def test_short_form_names_the_kernel_of_the_release() -> None:
    plan = parsed()
    one, two = plan.select(None)
    assert plan.short_commands(one, "none") == ("./inv c linux-6.1",)
    assert plan.short_commands(two, "none") == ("./inv c linux-6.12",)
    assert plan.short_commands(two, "both") == ("./inv a",)
    assert rooms.distribution_kernel("no-such-release") in kernels.load()


def test_commands_instead_of_readme_s() -> None:
    plan = parsed(commands="own")
    assert plan.rooms["one"].commands == "own"
    assert plan.rooms["two"].commands == ""
    assert plan.commands == {"own": ("./inv d",)}
    assert "commands: own" in plan.rooms["one"].what
    known = rooms.load()
    assert {row.commands for row in known.rooms.values()} == {"", *known.commands}


def test_steps_of_the_room_of_packages_are_those_of_its_script() -> None:
    plan = rooms.load()
    steps = re.findall(r"(?m)^([a-z]+)\(\) \{$", (paths.TESTS / "rooms/packages.sh").read_text())
    assert steps[:2] == ["fail", "answers"]
    typed = [
        command.rpartition(" ")[2]
        for row in plan.rooms.values()
        if row.commands == "packages"
        for command in (*plan.commands["packages"], *row.then)
        if command.startswith("sh tests/rooms/packages.sh ")
    ]
    assert set(typed) == set(steps[2:])
    # A step finds the packages where the first command has put them.
    assert plan.commands["packages"][0] == "./inv package --output /srv/packages"


def test_who_types_the_commands_and_where() -> None:
    root = parsed().rooms["one"]
    assert (root.account, root.home_folder) == ("root", "/root")
    assert root.checkout_folder == "/root/divert-sockets"
    user = parsed(user="sudo", home="/srv/a b").rooms["one"]
    assert user.account != "root"
    assert user.checkout_folder == "/srv/a b/divert-sockets"
    assert parsed(checkout="/x").rooms["one"].checkout_folder == "/x"


def test_where_a_user_puts_the_archives() -> None:
    def folder(**row: Any) -> str:
        return parsed(**row).rooms["one"].downloads_folder

    assert folder() == "/root/.cache/divert-sockets/downloads"
    assert folder(home="/srv/a b") == "/srv/a b/.cache/divert-sockets/downloads"
    assert folder(environment={"DIVERT_CACHE": "/c"}) == "/c/downloads"
    assert folder(containerfile=True) == "/cache/downloads"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"colour": "red"}, r"room\.one\.colour: no such key; known: release"),
        ({"packages": "git"}, r"room\.one\.packages: expected list, got string"),
        ({"user": "wheel"}, r"room\.one\.user: wheel is not known; known: root, sudo, plain"),
        ({"network": "slow"}, r"room\.one\.network: slow is not known; known: there, gone"),
        ({"archives": "some"}, r"room\.one\.archives: some is not known"),
        ({"commands": "others"}, r":4: room\.one\.commands: others is not known; known: own"),
    ],
)
def test_what_the_file_may_not_have(row: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        parsed(**row)
