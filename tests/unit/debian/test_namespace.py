# SPDX-License-Identifier: GPL-2.0-only
"""Namespaces of our own, as command lines; that they work is seen in every room (`inv fresh`)."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError
from harness.debian import namespace
from harness.debian.namespace import Inside, Mount

ROOT = Path("/cache/a room/root")


@pytest.fixture(autouse=True)
def asked_anew() -> None:
    namespace.unshare.cache_clear()


def test_everything_is_in_namespaces_that_end_with_us() -> None:
    words = namespace.argv(Inside(), "true")
    assert words[:5] == ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    assert "--net" not in words
    assert "--net" in namespace.argv(Inside(network=False), "true")


def test_script_is_one_that_a_shell_can_read() -> None:
    mounts = (Mount(Path("/opt/an index"), ROOT / "opt/an index", read_only=True),)
    inside = Inside(ROOT, mounts, user=1000, network=False, yes=True)
    text = namespace.script(inside, "echo 'it is'")
    subprocess.run(["sh", "-n", "-c", text], check=True)
    lines = text.splitlines()
    assert f"mount --rbind /dev {shlex.quote(str(ROOT))}/dev || exit 125" in lines
    assert f"mount -o remount,bind,ro {shlex.quote(str(mounts[0].target))} || exit 125" in lines
    assert any("lo" in line and "0x8914" in line for line in lines)
    last = shlex.split(lines[-2])
    assert last[:2] == ["yes", "|"]
    # A user's PATH in there does not lead to it.
    assert last[2].endswith("sbin/chroot")
    assert last[3:] == [
        *("--userspec=1000:1000", str(ROOT), "/bin/sh", "-c", "echo 'it is'"),
    ]


def test_first_process_ends_all_when_its_lifeline_ends(tmp_path: Path) -> None:
    """The script alone, with no namespace: kill and mount are replaced by words."""
    text = namespace.script(Inside(), "sleep 30")
    text = text.replace("kill -KILL -1", f"echo cut >{tmp_path}/said; kill -KILL $$")
    text = text.replace("mount -t proc proc /proc", "true")
    process = subprocess.Popen(["sh", "-c", text], stdin=subprocess.PIPE, start_new_session=True)
    assert process.stdin
    process.stdin.close()
    assert process.wait(20) == -9
    assert (tmp_path / "said").read_text() == "cut\n"


def refusing(
    monkeypatch: pytest.MonkeyPatch, euid: int, works: Sequence[str] = ()
) -> list[list[str]]:
    """Let unshare be refused, unless all of `works` is asked of it; gives what was asked."""
    asked: list[list[str]] = []

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        good = bool(works) and set(works) <= set(argv)
        why = "unshare: unshare failed: Operation not permitted\n"
        return subprocess.CompletedProcess(argv, 0 if good else 1, "", "" if good else why)

    monkeypatch.setattr("os.geteuid", lambda: euid)
    monkeypatch.setattr(subprocess, "run", run)
    return asked


def test_machine_that_does_not_let_us_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refusing(monkeypatch, euid=0)
    with pytest.raises(InfrastructureError, match="Operation not permitted"):
        namespace.unshare()
    assert ["--map-auto" in argv for argv in asked] == [False, True]


def test_without_root_there_are_user_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refusing(monkeypatch, euid=1000, works=["--map-root-user"])
    assert "--map-auto" in namespace.unshare()
    assert len(asked) == 1


def test_host_without_unshare_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(InfrastructureError, match="cannot start unshare"):
        namespace.unshare()
