# SPDX-License-Identifier: GPL-2.0-only
"""What one machine has built, another takes over: all of it as it was, or nothing."""

from __future__ import annotations

import errno
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.base import fingerprint, paths, store
from harness.base.errors import InfrastructureError, UserError
from harness.boot import bootable
from harness.debian import packagefolder
from harness.host import cachefile

ONE, TWO = fingerprint.of_bytes("one"), fingerprint.of_bytes("two")
ENTRY = f"kernel/{ONE[:32]}"


def fill(folder: Path) -> None:
    """What a kernel and a sysroot have: programs, links, folders."""
    (folder / "bin").mkdir()
    (folder / "bin" / "ld").write_bytes(b"\x7fELF" * 100)
    (folder / "bin" / "ld").chmod(0o755)
    (folder / "empty").mkdir()
    (folder / "bzImage").write_bytes(bytes(range(256)))
    (folder / "again").hardlink_to(folder / "bzImage")
    (folder / "lib").symlink_to("bin")
    (folder / "absolute").symlink_to("/usr/lib")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a machine with a cache of its own the one that commands are for."""

    def use(name: str) -> Path:
        monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / name))
        monkeypatch.delenv("DIVERT_DOWNLOADS", raising=False)
        return tmp_path / name

    return use


@pytest.fixture
def exported(machine: Callable[[str], Path], tmp_path: Path) -> Path:
    """A cache with two kernels, a package, a link to one, and an archive, as a tar file."""
    machine("here")
    store.obtain("kernel", ONE, fill, "one")
    store.obtain("kernel", TWO, lambda folder: (folder / "x").touch(), "two")
    downloads = paths.downloads_dir()
    package = downloads / "packages" / "debian-12" / "i386" / "libc6"
    package.mkdir(parents=True)
    deb = package / "libc6_2.36-9_i386.deb"
    deb.write_bytes(b"deb")
    packagefolder.write(deb)
    link = downloads / "packages" / "debian-11" / "i386" / "libc6"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../debian-12/i386/libc6")
    (downloads / "linux-2.2.12.tar.gz").write_bytes(b"archive")
    cachefile.run("export", str(tmp_path / "cache.tar"))
    return tmp_path / "cache.tar"


def build(name: str, key: str, make: Callable[[Path], None] | None = None) -> store.Entry:
    def refuse(_folder: Path) -> None:
        raise AssertionError(f"{name} is built")

    return store.obtain("kernel", key, make or refuse, name)


def test_what_was_exported_is_there_on_another_machine(
    exported: Path, machine: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    there = machine("there")
    cachefile.run("import", str(exported))
    assert "5 found, 5 of them new" in capsys.readouterr().out
    one = build("one", ONE)
    assert one.cached
    assert (one.path / "bin" / "ld").stat().st_mode & 0o111
    assert (one.path / "lib").is_symlink()
    assert build("two", TWO).cached
    package = packagefolder.read("libc6", there / "downloads/packages/debian-11/i386/libc6")
    assert package.version == "2.36-9"
    assert (there / "downloads" / "linux-2.2.12.tar.gz").read_bytes() == b"archive"
    cachefile.run("import", str(exported))
    assert "5 found, 0 of them new" in capsys.readouterr().out
    assert not list(there.glob(".import-*"))


def test_same_cache_is_the_same_file(exported: Path, tmp_path: Path) -> None:
    cachefile.run("export", str(tmp_path / "again.tar"))
    assert (tmp_path / "again.tar").read_bytes() == exported.read_bytes()


def test_only_what_the_variants_need(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def needs(variant: Any, _given: object) -> None:
        assert variant.name == "base"
        build("two", TWO)
        packagefolder.read("libc6", paths.downloads_dir() / "packages/debian-11/i386/libc6")

    monkeypatch.setattr(bootable, "build", needs)
    cachefile.run("export", str(tmp_path / "some.tar"), variant="base")
    with tarfile.open(tmp_path / "some.tar") as tar:
        row = json.loads(tar.extractfile(cachefile.MANIFEST).read())  # type: ignore[union-attr]
    assert row["entries"] == [f"kernel/{TWO[:32]}"]
    assert list(row["links"]) == ["packages/debian-11/i386/libc6"]
    assert sorted(row["files"]) == [
        "packages/debian-12/i386/libc6/SHA256SUMS",
        "packages/debian-12/i386/libc6/libc6_2.36-9_i386.deb",
    ]


Change = Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]


def rewritten(source: Path, change: Change, *more: tuple[tarfile.TarInfo, bytes]) -> Path:
    """The file with each member changed, or left out, and others added."""
    target = source.with_name("changed.tar")
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            stream = old.extractfile(member) if member.isreg() else None
            if (made := change(member, stream.read() if stream else b"")) is not None:
                made[0].size = len(made[1])
                new.addfile(made[0], io.BytesIO(made[1]))
        for extra, data in more:
            extra.size = len(data)
            new.addfile(extra, io.BytesIO(data))
    return target


def same(member: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
    return member, data


def of(name: str, change: Change) -> Change:
    return lambda member, data: (change if member.name == name else same)(member, data)


def member(name: str, kind: bytes = tarfile.REGTYPE, leads: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, leads
    return made


def told(change: Callable[[dict[str, Any]], None]) -> Change:
    """The manifest changed."""

    def changed(entry: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
        row = json.loads(data)
        change(row)
        return entry, json.dumps(row).encode()

    return of(cachefile.MANIFEST, changed)


def program(entry: tarfile.TarInfo, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    entry.mode = 0o644
    return entry, data


BROKEN: dict[str, tuple[Change, tuple[tuple[tarfile.TarInfo, bytes], ...]]] = {
    "a bit of a kernel": (of(f"{ENTRY}/bzImage", lambda m, d: (m, b"\1" + d[1:])), ()),
    "a file less": (of(f"{ENTRY}/bin/ld", lambda _m, _d: None), ()),
    "no program any more": (of(f"{ENTRY}/bin/ld", program), ()),
    "another's digests": (
        of(f"{ENTRY}.digests", lambda m, d: (m, d.replace(ONE[:32].encode(), TWO[:32].encode()))),
        (),
    ),
    "no digests": (of(f"{ENTRY}.digests", lambda _m, _d: None), ()),
    "a bit of a package": (
        of("downloads/packages/debian-12/i386/libc6/libc6_2.36-9_i386.deb", lambda m, _d: (m, b"")),
        (),
    ),
    "an archive less": (of("downloads/linux-2.2.12.tar.gz", lambda _m, _d: None), ()),
    "a file more in an entry": (same, ((member(f"{ENTRY}/more"), b"x"),)),
    "a file beside": (same, ((member("evil"), b"x"),)),
    "a file above": (same, ((member("../evil"), b"x"),)),
    "a file at the top": (same, ((member("/tmp/evil"), b"x"),)),
    "a file through a link": (same, ((member(f"{ENTRY}/lib/evil"), b"x"),)),
    "a file through a link to elsewhere": (same, ((member(f"{ENTRY}/absolute/evil"), b"x"),)),
    "a device": (same, ((member(f"{ENTRY}/null", tarfile.CHRTYPE), b""),)),
    "a name of what is outside": (
        same,
        ((member(f"{ENTRY}/passwd", tarfile.LNKTYPE, "../../../etc/passwd"), b""),),
    ),
    "an entry that is none": (told(lambda row: row["entries"].append("kernel/x")), ()),
    "an entry above": (told(lambda row: row["entries"].append(f"../{ONE[:32]}")), ()),
    "a download above": (told(lambda row: row["files"].update({"../x": "0"})), ()),
    "a link out of the packages": (
        told(lambda row: row["links"].update({"packages/a/b/c": "../../../../kernel"})),
        (),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_nothing_is_taken_of_a_file_that_is_broken_or_foreign(
    what: str, exported: Path, machine: Callable[[str], Path], tmp_path: Path
) -> None:
    file = rewritten(exported, *(BROKEN[what][0],), *BROKEN[what][1])
    there = machine("there")
    with pytest.raises(InfrastructureError, match=r"changed\.tar: .*(damaged|nothing that)"):
        cachefile.run("import", str(file))
    assert list(there.iterdir()) == []
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil").exists()


def test_file_that_was_cut_off_or_is_something_else(
    exported: Path, machine: Callable[[str], Path], tmp_path: Path
) -> None:
    there = machine("there")
    cut = tmp_path / "cut.tar"
    # The last of it is padding.
    for part in (1, 3):
        cut.write_bytes(exported.read_bytes()[: len(exported.read_bytes()) * part // 11])
        with pytest.raises((InfrastructureError, UserError)):
            cachefile.run("import", str(cut))
    cut.write_text("hello")
    with pytest.raises(InfrastructureError, match="cannot be read"):
        cachefile.run("import", str(cut))
    with tarfile.open(cut, "w") as tar:
        tar.addfile(member("x"))
    with pytest.raises(UserError, match="is no cache that was exported"):
        cachefile.run("import", str(cut))
    with pytest.raises(UserError, match="there is no file"):
        cachefile.run("import", str(tmp_path / "nowhere.tar"))
    assert not there.exists() or list(there.iterdir()) == []


def test_what_is_damaged_here_is_not_exported(exported: Path, tmp_path: Path) -> None:
    (paths.cache_dir() / ENTRY / "bzImage").write_bytes(b"other")
    with pytest.raises(InfrastructureError, match="is damaged: again is not what was stored"):
        cachefile.run("export", str(tmp_path / "bad.tar"))
    assert not list(tmp_path.glob("*bad.tar*"))


def test_what_is_damaged_there_is_replaced(exported: Path, machine: Callable[[str], Path]) -> None:
    there = machine("there")
    cachefile.run("import", str(exported))
    (there / ENTRY / "bzImage").write_bytes(b"other")
    store._whole.clear()
    cachefile.run("import", str(exported))
    assert (there / ENTRY / "bzImage").read_bytes() == bytes(range(256))


def test_mistakes_of_the_command(tmp_path: Path, machine: Callable[[str], Path]) -> None:
    machine("here")
    with pytest.raises(UserError, match="it is export or import"):
        cachefile.run("exprot", "x.tar")
    with pytest.raises(UserError, match="there is no folder"):
        cachefile.run("export", str(tmp_path / "none" / "x.tar"))
    with pytest.raises(UserError, match="--variant is for cache export"):
        cachefile.run("import", "x.tar", variant="base")


def test_read_only_cache_is_read_and_says_what_it_cannot_take(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a share of other machines is."""

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    store._whole.clear()
    assert build("one", ONE).cached
    with pytest.raises(InfrastructureError, match="Read-only file system") as error:
        build("three", fingerprint.of_bytes("three"), fill)
    assert "DIVERT_CACHE=FOLDER moves the cache" in error.value.hint
