# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that comes without names gets those that the guest tells."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.base import paths
from harness.base.errors import InfrastructureError
from harness.gdb import symbols
from harness.gdb.symbols import Section, added

SECTIONS = (
    Section(".text", 0xFFFFFFFF81000000, 0x1000),
    Section(".data", 0xFFFFFFFF82000000, 0x200),
)
KALLSYMS = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000123 t helper.constprop.0
ffffffff82000010 D jiffies
ffffffff83000000 b beyond
ffffffff81000200 T of_a_module\t[divert]
"""


def test_what_is_in_a_section_gets_its_name_there() -> None:
    assert added(KALLSYMS.splitlines(), SECTIONS) == [
        "--add-symbol=_text=.text:0x0,function,global",
        "--add-symbol=helper.constprop.0=.text:0x123,function,local",
        "--add-symbol=jiffies=.data:0x10,object,global",
    ]


def test_table_without_addresses_names_nothing() -> None:
    """As an ordinary user, or one without CAP_SYSLOG, sees it."""
    hidden = ["0000000000000000 T _text", "0000000000000000 D jiffies"]
    with pytest.raises(InfrastructureError, match="names nothing of its kernel"):
        added(hidden, SECTIONS)


def test_file_with_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the tools of the host, on a program that has none any more."""
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    source, kernel = tmp_path / "toy.c", tmp_path / "vmlinux"
    source.write_text("int answer(void) { return 42; }\nint main(void) { return answer(); }\n")
    at = "-Wl,-Ttext=0x401000,-e,main"
    subprocess.run(["gcc", "-nostdlib", "-static", at, source, "-o", kernel], check=True)
    said = subprocess.run(["nm", kernel], capture_output=True, text=True, check=True).stdout
    known = {line.split()[2]: line.split()[0] for line in said.splitlines()}
    subprocess.run(["strip", kernel], check=True)
    table = tmp_path / "kallsyms"
    table.write_text(f"{known['answer']} T answer\n{known['main']} T main\n")
    named = symbols.named(kernel, table)
    said = subprocess.run(["nm", named], capture_output=True, text=True, check=True).stdout
    assert f"{known['answer']} T answer" in said
    assert symbols.named(kernel, table) == named
