# SPDX-License-Identifier: GPL-2.0-only
"""Every message of a kernel's source is a fault by crash.toml, or left out with a reason."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.datafile import Schema, Table
from harness.guest.crash import classify
from harness.upstream import releases, sources
from tests.unit.support import kernelmessages
from tests.unit.support.kernelmessages import Message


class Row(Table, frozen=True, kw_only=True):
    why: str
    files: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()


DATA = Schema(dict[str, list[Row]], "tests/unit/guest/left-out.toml")


@dataclass(frozen=True)
class LeftOut:
    """Messages that are no fault: of these files, or with these words; both where it has both."""

    files: tuple[str, ...]
    messages: tuple[re.Pattern[str], ...]
    why: str

    def has(self, message: Message) -> bool:
        there = not self.files or any(fnmatchcase(message.file, each) for each in self.files)
        said = not self.messages or any(each.match(message.text) for each in self.messages)
        return there and said


def left_out(kernel: str) -> list[LeftOut]:
    return [
        LeftOut(row.files, tuple(map(re.compile, row.messages)), row.why)
        for row in DATA.read()[kernel]
    ]


def unexplained(kernel: str, messages: Sequence[Message]) -> list[str]:
    rows = left_out(kernel)
    return [
        f"{message.where}: {message.text}"
        for message in messages
        if classify(message.text) is None and not any(row.has(message) for row in rows)
    ]


OLD = "linux-2.2.12"
OLD_FILES = (
    *("net/*.c", "net/core/*.c", "net/ipv4/*.c", "net/netlink/*.c", "net/packet/*.c"),
    *("net/unix/*.c", "net/ethernet/*.c", "net/sched/*.c", "mm/*.c", "kernel/*.c", "lib/*.c"),
    *("arch/i386/kernel/*.c", "arch/i386/mm/*.c", "include/net/*.h", "include/asm-i386/*.h"),
    "drivers/net/tulip.c",
)
TODAY_FOLDERS = ("net", "mm", "kernel", "lib", "drivers/net", "drivers/virtio", "arch/x86")
TODAY_FILES = (
    *("net/*.c", "net/core/*.c", "net/ipv4/*.c", "net/ipv4/netfilter/*.c", "net/netfilter/*.c"),
    *("net/netlink/*.c", "net/packet/*.c", "net/unix/*.c", "net/ethernet/*.c", "net/xfrm/*.c"),
    *("net/sched/sch_generic.c", "net/sched/sch_api.c", "net/bridge/*.c", "net/8021q/*.c"),
    *("mm/**/*.c", "kernel/**/*.c", "lib/**/*.c", "drivers/virtio/*.c"),
    *("drivers/net/virtio_net.c", "arch/x86/kernel/*.c", "arch/x86/mm/*.c"),
)
# What the console shows: warnings and worse. WARN() and BUG() have heads of their own.
_LEVELS = ("emerg", "alert", "crit", "err", "warn")
TODAY_FUNCTIONS = (
    *(f"pr_{level}{how}" for level in _LEVELS for how in ("", "_ratelimited", "_once")),
    *(f"net_{level}_ratelimited" for level in _LEVELS),
    *(f"{what}_{level}" for what in ("netdev", "dev") for level in _LEVELS),
    *("printk", "printk_deferred", "panic"),
)


@pytest.mark.slow
@pytest.mark.skipif(
    sources.downloaded(releases.load()[OLD]) is None, reason="the archive of 2.2.12 is not here"
)
def test_every_message_of_the_reference() -> None:
    tree = sources.obtain(OLD).tree
    messages = list(kernelmessages.of(tree, OLD_FILES, ("printk", "panic")))
    assert len(messages) > 700
    assert unexplained("linux-2-2-12", messages) == []


def _package() -> Path | None:
    """The source of Debian's kernel, where one with checkers has been built."""
    packages = paths.downloads_dir().glob("packages/*/*/linux-source-6.1/*.deb")
    return next(packages, None)


@pytest.mark.slow
@pytest.mark.skipif(_package() is None, reason="no source of linux-6.1 is here")
def test_every_message_of_today(tmp_path: Path) -> None:
    # All of it would take a minute, and a gigabyte.
    unpack = (
        'dpkg-deb --fsys-tarfile "$0" | tar -xO --wildcards "*.tar.xz" '
        '| tar -xJ --strip-components=1 --wildcards "$@"'
    )
    wanted = [f"linux-source-6.1/{folder}/*.c" for folder in TODAY_FOLDERS]
    argv = ["sh", "-c", unpack, str(_package()), *wanted]
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=600)
    messages = list(kernelmessages.of(tmp_path, TODAY_FILES, TODAY_FUNCTIONS))
    assert len(messages) > 2000
    assert unexplained("linux-6-1", messages) == []


def test_message_that_nobody_has_thought_of() -> None:
    new = Message("net/core/dev.c", 7, "a word that no kernel has said yet")
    assert unexplained("linux-6-1", [new]) == [
        "net/core/dev.c:7: a word that no kernel has said yet"
    ]
    assert unexplained("linux-2-2-12", [new]) != []


@pytest.mark.parametrize("kernel", DATA.read())
def test_nothing_is_left_out_that_is_a_rule_or_without_a_reason(kernel: str) -> None:
    for row in left_out(kernel):
        assert row.why
        assert row.files or row.messages


def test_messages_of_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(
        'void f(void) {\n  /* printk("no call") */\n  printk(KERN_ERR "%s: wrong "\n'
        '         "queue %04x (%d)\\n", name(")"), "argument", 1);\n  panic("out of %p", x);\n}\n'
    )
    assert [
        (message.where, message.text)
        for message in kernelmessages.of(tmp_path, ["*.c"], ["printk", "panic"])
    ] == [("a.c:3", "eth1: wrong queue 5b10 (7)"), ("a.c:5", "Kernel panic: out of c0155b10")]
