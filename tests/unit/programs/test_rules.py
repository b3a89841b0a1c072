# SPDX-License-Identifier: GPL-2.0-only
"""The rule tool's command line: what it refuses before the kernel is asked.

What it sets and shows is tested where ipchains is not, in the guest.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.image import guestprograms
from tests.unit.programs.test_c_programs import PROGRAMS, compile_c, run


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tool, under the name of what it stands for."""
    (row,) = (row for row in guestprograms.load() if row.name == "rules")
    program = tmp_path_factory.mktemp("bin") / "ipchains"
    compile_c(program, [PROGRAMS / source for source in row.sources], row.flags)
    return program


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("", "no command"),
        ("-Q", "unknown option -Q"),
        ("-F -X", "-F and -X are two commands"),
        ("input", "unexpected `input'"),
        ("-A", "-A wants a value"),
        ("-R input -j ACCEPT", "-R requires a rule number"),
        ("-D input 0", "`0' is no rule number"),
        ("-A input -p stcp", "`stcp' is no protocol"),
        ("-A input -s 192.0.2", "`192.0.2' is no address"),
        ("-A input -s 192.0.2.1/33", "`33' is no mask"),
        ("-A input -s 0/0 80 -j ACCEPT", "ports want a protocol"),
        ("-A input -p TCP -s 0/0 2:1", "the ports `2:1' end before they begin"),
        ("-A input -p UDP -d 0/0 65536", "`65536' is no port"),
        ("-A input -p UDP -y", "-y wants the protocol TCP"),
        ("-A input -p ICMP --icmp-type host", "`host' is no ICMP type"),
        ("-A input -i abcdefghijklmnop", "the interface's name `abcdefghijklmnop' is too long"),
        ("-A input -t 100 00", "`100' is no TOS mask"),
        ("-A input -m many", "`many' is no mark"),
        ("-A input -j 123456789", "the name `123456789' has more than 8 letters"),
        ("-A input -j DIVERT", "-j DIVERT requires a port (1-65535)"),
        ("-A input -j DIVERT -l", "-j DIVERT requires a port (1-65535)"),
        ("-A input -j DIVERT 0", "`0' is no divert port"),
        ("-A input -j DIVERT 65536", "`65536' is no divert port"),
        ("-A input -j DIVERT -1", "invalid divert port `-1'"),
        ("-A input -j DIVERT 0x10", "invalid divert port `0x10'"),
        ("-A input -j DIVERT 99999999999999999999", "invalid divert port"),
        ("-A input -j DIVERT 1 2", "unexpected `2'"),
        ("-P input DIVERT 1", "DIVERT cannot be a policy, only the target of a rule"),
        ("-C input -p UDP -s 0/0 1", "-C requires one port for -s and one for -d"),
    ],
)
def test_words_that_are_no_command(rules: Path, words: str, reason: str) -> None:
    done = run(rules, *words.split(), status=2)
    assert done.stderr.startswith(f"ipchains: {reason}")
    assert not done.stdout


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_it_helps(rules: Path, word: str) -> None:
    lines = run(rules, word).stdout.splitlines()
    assert lines[0] == "usage: ipchains -A|-D|-C CHAIN RULE"
    assert "DIVERT PORT" in lines[-1]
    assert all(len(line) <= 80 for line in lines)


def test_it_has_the_name_that_it_was_called_by(
    rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its path or, as a shell does that has found it, without."""
    monkeypatch.setenv("PATH", str(rules.parent))
    for name in (rules, Path("ipchains")):
        assert run(name, "-Q", status=2).stderr.startswith("ipchains: ")


@pytest.mark.skipif(Path("/proc/net/ip_fwnames").exists(), reason="this host has the module")
@pytest.mark.parametrize("words", ["-L", "-S", "-F", "-A input -j ACCEPT", "-P input ACCEPT"])
def test_a_kernel_without_such_a_firewall(rules: Path, words: str) -> None:
    """Its socket options may be ip_tables', which answers in other words."""
    if os.geteuid() != 0 and words not in {"-L", "-S", "-F"}:
        pytest.skip("sets rules, for which it takes a raw socket")
    done = run(rules, *words.split(), status=1)
    assert "there is no such firewall here (is the module divert loaded?)" in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_is_built_only_where_ipchains_is_not() -> None:
    assert {each.name: each.instead_of for each in guestprograms.load() if each.instead_of} == {
        "rules": "ipchains"
    }
