# SPDX-License-Identifier: GPL-2.0-only
"""The kernels as data: what the file may say, and which kernels a host is meant to test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.base.errors import UserError
from harness.matrix import kernels

APPEND = "root=/dev/ram0  rw\\tpanic=1"
HARDWARE = f"""
hardware = {{ program = "qemu", card = "tulip", memory-mib = 64, append = "{APPEND}" }}
"""

OLD = '"linux-2.2.12", "ipchains-1.3.9"'

FILE = f"""
[old]
sources = ["linux-2.2.12", "ipchains-1.3.9"]
features = ["chains"]
{HARDWARE}
[new]
release = "bookworm"
package = "linux-image"
modules = ["net/core/failover", "drivers/net/dummy"]
modules-at-hand = ["net/llc/llc"]
features = ["mmsg", "nfqueue"]
module-features = ["chains"]
{HARDWARE}
[newer]
like = "new"
release = "trixie"
suites = {{ bookworm = "bookworm-backports" }}
features = ["keep"]
modules-at-hand = ["net/802/stp"]
hardware = {{ memory-mib = 96, cpu = "max" }}

[newest]
like = "newer"
release = "forky"
gone = ["net/llc/llc"]
lacks = ["net/802/stp", "nfqueue"]
optional = true
source-package = "linux-source"
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file kernels.toml of the test's own."""
    file = tmp_path / "kernels.toml"
    monkeypatch.setattr(kernels.DATA, "where", str(file))
    file.write_text(FILE)
    return file


def refused(file: Path, text: str) -> str:
    """What is said of a file with this content."""
    file.write_text(text)
    with pytest.raises(UserError) as caught:
        kernels.load()
    return str(caught.value)


@pytest.mark.usefixtures("file")
def test_what_a_kernel_has_and_has_not() -> None:
    known = kernels.load()
    assert list(known) == ["old", "new", "newer", "newest"]
    old, new = known["old"], known["new"]
    assert old.hardware == kernels.Hardware(
        "qemu", "tulip", 64, ("root=/dev/ram0", "rw", "panic=1")
    )
    assert old.sources == ("linux-2.2.12", "ipchains-1.3.9")
    assert old.features == {"chains"}
    assert not (old.package or old.release or old.modules_kept or old.module_features)
    assert new.sources == ()
    assert new.modules_kept == ("net/core/failover", "drivers/net/dummy", "net/llc/llc")


@pytest.mark.usefixtures("file")
def test_kernel_like_another_says_only_what_differs() -> None:
    new, newer, newest = (kernels.named(name) for name in ("new", "newer", "newest"))
    assert (newer.name, newer.release) == ("newer", "trixie")
    for same in ("package", "modules", "module_features", "source_package", "optional"):
        assert getattr(newer, same) == getattr(new, same)
    # One like another that is like a third has what all of them say.
    assert (newest.release, newest.package) == ("forky", "linux-image")
    assert newest.suites == newer.suites
    assert (newest.source_package, newest.optional) == ("linux-source", True)
    assert (new.like, newer.like, newest.like) == ("", "new", "newer")
    # But it may lack something.
    assert newest.features == {"mmsg", "keep"}
    assert newest.modules_at_hand == ("net/llc/llc",)
    assert (newer.gone, newest.gone) == ((), ("net/llc/llc",))


@pytest.mark.parametrize(
    ("name", "series"),
    [("linux-6.1", "6.1"), ("linux-6.12-rt", "6.12"), ("linux-7.2-sid-cloud", "7.2")],
)
def test_series_of_a_kernel(name: str, series: str) -> None:
    assert kernels.named(name).series == series


@pytest.mark.usefixtures("file")
def test_kernel_like_another_adds_to_its_lists_and_tables() -> None:
    new, newer = kernels.named("new"), kernels.named("newer")
    assert newer.features == {"mmsg", "nfqueue", "keep"}
    assert newer.modules_at_hand == ("net/llc/llc", "net/802/stp")
    assert newer.hardware == replace(new.hardware, memory_mib=96, cpu="max")
    assert new.features == {"mmsg", "nfqueue"}
    assert new.modules_at_hand == ("net/llc/llc",)


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize(
    ("name", "host", "suite"),
    [
        ("new", "bookworm", "bookworm"),
        ("new", "trixie", "bookworm"),
        ("newer", "trixie", "trixie"),
        ("newer", "bookworm", "bookworm-backports"),
        ("newer", "", "trixie"),
    ],
)
def test_where_a_host_takes_the_package_from(name: str, host: str, suite: str) -> None:
    assert kernels.named(name).suite(host) == suite


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[old\n", "1: no TOML: Expected ']'"),
        (f"[old]\n{HARDWARE}\n[old]\n", "5: no TOML: Cannot declare ('old',) twice"),
        ("old = 1\n", "1: old: expected table, got integer"),
        (
            FILE.replace("modules-at-hand", "modules_at_hand"),
            "12: new.modules_at_hand: no such",
        ),
        (FILE.replace("memory-mib = 64", "memory = 64"), "6: old.hardware.memory: no such key"),
        (FILE.replace('card = "tulip", ', ""), "6: old.hardware: lacks card"),
        (
            FILE.replace("64", '"64"'),
            "old.hardware.memory-mib: expected integer, got",
        ),
        (FILE.replace(f"[{OLD}]", '"old-1"'), "3: old.sources: expected list, got string"),
        (FILE.replace('features = ["chains"]', "", 1), "2: old: lacks features"),
        (FILE.replace(HARDWARE, "", 1), "2: old: lacks hardware"),
        (FILE.replace('like = "new"', 'like = "never"'), "19: newer.like: never is not known"),
        (FILE.replace('like = "new"', 'like = "newest"'), "19: newer.like: newest is not known"),
        (FILE.replace('like = "new"', 'like = "newer"'), "19: newer.like: newer is not known"),
        (FILE.replace(f"sources = [{OLD}]", ""), "2: old: has neither sources nor"),
        (FILE.replace('package = "linux-image"', ""), "8: new: has neither sources nor"),
        (FILE.replace('release = "bookworm"', ""), "8: new: has neither sources nor"),
        # What is named and is nowhere.
        (FILE.replace('"linux-2.2.12",', '"linux-2.2.21",'), "3: old.sources[1]: linux-2.2.21 is"),
        (
            FILE.replace('["mmsg"', '["msg"'),
            "new.features[1]: msg is not known, did",
        ),
        (FILE.replace('["chains"]\n\nh', '["chain"]\n\nh'), "old.features[1]: chain is not known"),
        (
            FILE.replace('lacks = ["net/802', 'lacks = ["net/803'),
            "newest.lacks[1]: net/803/stp",
        ),
        (FILE.replace('gone = ["net', 'gone = ["nat'), "newest.gone[1]: nat/llc/llc is not known"),
        (
            f'{FILE}configs = ["debog"]\n',
            "newest.configs[1]: debog is not known, did",
        ),
    ],
)
def test_file_that_is_not_as_it_should_be(file: Path, text: str, says: str) -> None:
    said = refused(file, text)
    assert says in said
    assert said.startswith(f"{file}:")


def test_all_that_is_wrong_is_told_at_once(file: Path) -> None:
    said = refused(file, FILE.replace("suites", "suite").replace("gone", "went"))
    assert [line.partition(": ")[2].partition(",")[0] for line in said.splitlines()] == [
        "newer.suite: no such key",
        "newest.went: no such key; known: like",
    ]


def test_key_that_is_misspelt_is_told_with_those_that_there_are(file: Path) -> None:
    said = refused(file, FILE.replace("suites", "suite"))
    assert "newer.suite: no such key, did you mean suites? known: like, " in said
    assert "suites" in said.partition("known: ")[2].split(", ")


def test_file_that_cannot_be_read(file: Path) -> None:
    file.write_bytes(b"[a]\n\n[\xff]\n")
    with pytest.raises(UserError, match=r"kernels\.toml:3: not UTF-8"):
        kernels.load()
    file.unlink()
    with pytest.raises(UserError, match=r"cannot use .*kernels\.toml.*No such file"):
        kernels.named("old")


@pytest.mark.parametrize("name", ["", "linux-6.1 ", "linux-6", "LINUX-6.1"])
def test_kernel_that_there_is_not_is_never_another(name: str) -> None:
    with pytest.raises(UserError) as caught:
        kernels.named(name)
    assert caught.value.message == f"there is no kernel {name}"
    assert caught.value.hint == f"known: {', '.join(kernels.load())}"


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("bookworm", ["linux-2.2.12", "linux-6.1"]),
        ("trixie", ["linux-2.2.12", "linux-6.12"]),
        # Of another distribution, and one that has no code names, as the reference has no release.
        ("noble", ["linux-2.2.12", "linux-6.1", "linux-6.12"]),
        ("", ["linux-2.2.12", "linux-6.1", "linux-6.12"]),
        # The suite that bookworm takes it from is no host.
        ("bookworm-backports", ["linux-2.2.12", "linux-6.1", "linux-6.12"]),
    ],
)
def test_kernels_that_are_usual_on_a_host(host: str, names: list[str]) -> None:
    assert [row.name for row in kernels.usual(host)] == names


def test_file_of_this_project() -> None:
    known = kernels.load()
    assert next(iter(known)) == kernels.REFERENCE
    for row in known.values():
        assert bool(row.sources) != bool(row.package)
        assert bool(row.configs) == bool(row.source_package)
        assert len(set(row.modules_kept)) == len(row.modules_kept)
    assert known["linux-6.12"].suite("bookworm") == "bookworm-backports"
    assert known["linux-6.12"].suite("trixie") == "trixie"
