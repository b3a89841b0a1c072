# SPDX-License-Identifier: GPL-2.0-only
"""The kernels as data: what the file may say, and which kernels a host is meant to test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import UserError
from harness.matrix import kernels

APPEND = "root=/dev/ram0  rw\\tpanic=1"
HARDWARE = f"""
hardware = {{ program = "qemu", card = "tulip", memory-mib = 64, append = "{APPEND}" }}
"""

FILE = f"""
[old]
sources = ["old-1", "tool-2"]
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
lacks = ["net/802/stp", "nfqueue", "never"]
optional = true
source-package = "linux-source"
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file kernels.toml of a folder of its own."""
    monkeypatch.setattr(paths, "HARNESS", tmp_path)
    file = tmp_path / "matrix" / "kernels.toml"
    file.parent.mkdir()
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
    assert old.sources == ("old-1", "tool-2")
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
        ("[old\n", "at line 1"),
        (f"[old]\n{HARDWARE}\n[old]\n", "old"),
        ("old = 1\n", "old is no table"),
        (FILE.replace("modules-at-hand", "modules_at_hand"), "new has an unknown modules_at_hand"),
        (FILE.replace("memory-mib = 64", "memory = 64"), "old.hardware has an unknown memory"),
        (FILE.replace('card = "tulip", ', ""), "old.hardware lacks card"),
        (FILE.replace("64", '"64"'), "the memory-mib of old.hardware is no int"),
        (FILE.replace('["old-1", "tool-2"]', '"old-1"'), "the sources of old is no list"),
        (FILE.replace('features = ["chains"]', "", 1), "old lacks features"),
        (FILE.replace(HARDWARE, "", 1), "old lacks hardware"),
        (FILE.replace('like = "new"', 'like = "never"'), "newer is like never"),
        (FILE.replace('like = "new"', 'like = "newest"'), "newer is like newest"),
        (FILE.replace('like = "new"', 'like = "newer"'), "newer is like newer"),
        (FILE.replace('sources = ["old-1", "tool-2"]', ""), "old has neither sources nor"),
        (FILE.replace('package = "linux-image"', ""), "new has neither sources nor"),
        (FILE.replace('release = "bookworm"', ""), "new has neither sources nor"),
    ],
)
def test_file_that_is_not_as_it_should_be(file: Path, text: str, says: str) -> None:
    said = refused(file, text)
    assert says in said
    assert "kernels.toml" in said


def test_key_that_is_misspelt_is_told_with_those_that_there_are(file: Path) -> None:
    said = refused(file, FILE.replace("suites", "suite"))
    assert "newer has an unknown suite\n" in said
    assert "suites" in said.partition("known: ")[2].split(", ")


def test_file_that_cannot_be_read(file: Path) -> None:
    file.write_bytes(b"[\xff]\n")
    with pytest.raises(UserError, match=r"cannot use .*kernels\.toml"):
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
        assert len(set(row.modules_kept)) == len(row.modules_kept)
    assert known["linux-6.12"].suite("bookworm") == "bookworm-backports"
    assert known["linux-6.12"].suite("trixie") == "trixie"
