# SPDX-License-Identifier: GPL-2.0-only
"""Setting up a host, on a PATH of the test's own with an apt-get that is a shell script."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from harness import host, paths
from harness.errors import InfrastructureError

# Installs by linking; remembers its arguments. What `broken` names it does not have.
APT_GET = """\
#!/bin/sh
echo "$*" >>{bin}/../calls
case "$*" in
*update*) exit {update} ;;
*broken*) echo 'E: Unable to locate package'; exit 100 ;;
esac
for program in {programs}; do
    printf '#!/bin/sh\\necho version 1\\n' >{bin}/$program
    chmod +x {bin}/$program
done
"""


def _script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing that the harness needs, but for the shell's tools and an apt-get."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "chmod"):
        (folder / name).symlink_to(Path("/bin") / name)
    _apt_get(folder)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return folder


def _apt_get(folder: Path, *, without: str = "", update: int = 0) -> None:
    names = [need.name for need in host.load() if not need.compile and need.name != without]
    installs = " ".join(name for name in names if name != "apt-get")
    _script(folder / "apt-get", APT_GET.format(bin=folder, programs=installs, update=update))


def _calls(folder: Path) -> list[str]:
    calls = folder.parent / "calls"
    return calls.read_text().splitlines() if calls.exists() else []


def test_all_is_said_then_installed(programs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host.setup()
    said = capsys.readouterr().err
    for need in host.load():
        if need.name != "apt-get":
            assert re.search(rf"{re.escape(need.name)} \(package {need.package}\): \w+", said)
    assert said.index("genext2fs") < said.index("running: apt-get") < said.index("installed;")
    update, install = _calls(programs)
    assert update.endswith(" update")
    assert " install " in install
    assert {"bin86", "gcc-multilib", "qemu-system-x86"} <= set(install.split())
    host.setup()
    assert capsys.readouterr().err == "this host has all the programs that are needed\n"
    assert len(_calls(programs)) == 2


def test_without_root_the_command_is_printed(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(InfrastructureError) as caught:
        host.setup()
    assert re.search(r"run: sudo apt-get install bc bin86 .*zstd$", caught.value.hint)
    assert _calls(programs) == []


def test_check_only_installs_nothing(programs: Path) -> None:
    with pytest.raises(InfrastructureError, match="sudo apt-get install"):
        host.setup(check_only=True)
    assert _calls(programs) == []


def test_a_list_that_cannot_be_had_is_no_end(
    programs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _apt_get(programs, update=100)
    host.setup()
    assert "trying all the same" in capsys.readouterr().err


def test_apt_get_that_fails(programs: Path) -> None:
    _script(
        programs / "apt-get",
        APT_GET.format(bin=programs, programs="", update=0).replace("*broken*", "*install*"),
    )
    with pytest.raises(InfrastructureError, match="E: Unable to locate package"):
        host.setup()


def test_what_is_still_missing_is_named(programs: Path) -> None:
    _apt_get(programs, without="bc")
    with pytest.raises(InfrastructureError, match=r"still lacks bc \(bc\)"):
        host.setup()


def test_without_apt_get(programs: Path) -> None:
    (programs / "apt-get").unlink()
    with pytest.raises(InfrastructureError, match=r"lacks qemu-system-i386, gcc, .*no apt-get"):
        host.setup()


def test_a_compiler_that_cannot_do_32_bit(programs: Path) -> None:
    host.setup()
    _script(programs / "gcc", '#!/bin/sh\ncase "$*" in *-m32*) exit 1;; esac\n')
    assert [need.name for need in host.missing()] == ["gcc -m32"]


def test_versions(programs: Path) -> None:
    host.setup()
    needs = {need.name: need for need in host.load()}
    assert host.version(needs["make"]) == "version 1"
    assert host.version(needs["ld86"]) == ""
    (programs / "make").unlink()
    assert host.version(needs["make"]) == ""
