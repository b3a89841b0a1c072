# SPDX-License-Identifier: GPL-2.0-only
"""What gdb is told: symbols, then where the guest is, then where to stop."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.base.errors import GuestError
from harness.gdb import debugger
from harness.gdb.script import Loaded, Script, word

# As a guest of linux-6.1 tells it.
SECTIONS = """\
.text 0xffffffffc0024000
.init.text 0xffffffffc0041000
.exit.text 0xffffffffc002d0a5
.data 0xffffffffc0033000
.data..read_mostly 0xffffffffc0033740
.rodata 0xffffffffc002f0c0
.rodata.str1.1 0xffffffffc0030000
.bss 0xffffffffc0034000
.note.Linux 0xffffffffc002f0a4
"""


def test_symbols_come_before_the_guest_and_the_guest_before_breakpoints() -> None:
    script = Script(
        Path("/k/vmlinux"),
        "/proc/self/fd/9/gdb",
        Loaded(Path("/m/divert.ko.debug"), debugger.sections(SECTIONS)),
        {"/compiled/tree": Path("/patched/tree")},
        (Path("/m"), Path("/m/socket")),
        ("divert_enqueue", "enqueue.c:190 if skb->len > 100"),
    )
    assert script.text().splitlines() == [
        "set filename-display basename",
        'file "/k/vmlinux"',
        'set substitute-path "/compiled/tree" "/patched/tree"',
        'directory "/m/socket"',
        'directory "/m"',
        'add-symbol-file "/m/divert.ko.debug" 0xffffffffc0024000 '
        "-s .bss 0xffffffffc0034000 -s .data 0xffffffffc0033000 "
        "-s .data..read_mostly 0xffffffffc0033740 -s .exit.text 0xffffffffc002d0a5 "
        "-s .rodata 0xffffffffc002f0c0",
        "target remote /proc/self/fd/9/gdb",
        "break divert_enqueue",
        "break enqueue.c:190 if skb->len > 100",
        "continue",
    ]


def test_without_a_place_to_stop_it_stays_as_it_was_met() -> None:
    assert Script(Path("/k"), "/r").text().splitlines()[1:] == ['file "/k"', "target remote /r"]


def test_module_that_is_nowhere_is_said_to_be() -> None:
    with pytest.raises(GuestError, match="does not tell where its module is"):
        debugger.sections("")
    # To whoever may not see addresses, all of them are 0.
    with pytest.raises(GuestError, match="does not tell where its module is"):
        debugger.sections(".text 0x0000000000000000\n")


@pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not on this host")
@pytest.mark.parametrize("name", ["plain", "a b", 'it\'s "it"', "back\\slash", "$HOME", "x[1]"])
def test_word_is_a_word_for_gdb_whatever_is_in_it(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    shutil.copy("/bin/true", folder / "program")
    commands = tmp_path / "commands"
    commands.write_text(f"file {word(folder / 'program')}\ninfo files\n")
    argv = ["gdb", "-nx", "-q", "-batch", f"--command={commands}"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    assert f"`{folder}/program'" in done.stdout + done.stderr
