# SPDX-License-Identifier: GPL-2.0-only
"""The start of ./inv and its setup.sh, on hosts of shell scripts."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest

from harness.base import paths
from tests.unit.support.toyhost import Toy, python

# All that host.toml names, on a host that has nothing; the compiler's version is APT's.
ALL = [
    *("apt", "bc", "bin86", "binutils", "bzip2", "ca-certificates", "dpkg", "gcc"),
    *("gcc-12-multilib", "genext2fs", "gzip", "libc6-dev", "make", "patch", "python3-venv"),
    *("qemu-system-x86", "tar", "xz-utils", "zstd"),
]
# Of these the toy has the programs.
BARE = [name for name in ALL if name not in {"apt"}]
INSTALL = "apt-get install --no-remove --no-install-recommends"


@pytest.fixture(name="toy")
def _toy(tmp_path: Path) -> Toy:
    """A host with nothing but the shell's tools and APT."""
    return Toy(tmp_path / "toy", tmp_path / "checkout")


@pytest.fixture(name="ready")
def _ready(toy: Toy) -> Toy:
    """One with a Python that has venv."""
    toy.program("python3", python(11))
    toy.installed("python3-venv")
    return toy


def said(toy: Toy, *words: str, status: int = 3) -> list[str]:
    """What it says on standard error, without its name."""
    done = toy.run(*words, status=status)
    return [line.removeprefix("inv: ") for line in done.stderr.splitlines()]


# ---- where it is called from


@pytest.mark.parametrize("where", ["plain", "a=b", "a b", "x[1]", "$HOME", 'it\'s "it"', "-dash"])
def test_any_path_and_folder_and_link(where: str, tmp_path: Path) -> None:
    toy = Toy(tmp_path / "toy", tmp_path / where)
    toy.program("python3", python(11))
    toy.installed("python3-venv")
    (toy.checkout / "docs").mkdir()
    (tmp_path / "link").symlink_to(toy.checkout / "inv")
    toy.environment = {
        "PYTHONSAFEPATH": "1",
        "PYTHONHOME": "/nowhere",
        "PYTHONPATH": "/nowhere",
        "PYTHONINSPECT": "1",
        "PYTEST_ADDOPTS": "-k one",
    }
    for program, cwd in (
        (None, None),
        (Path("../inv"), toy.checkout / "docs"),
        (tmp_path / "link", tmp_path),
    ):
        lines = toy.run("test", "-k", "a b", program=program, cwd=cwd).stdout.splitlines()
        root = str(toy.checkout)
        assert lines[:9] == [
            f"{root}/.venv/bin/python",
            *("-P", "-m", "harness.base.cli", "--search-root", root, "test", "-k", "a b"),
        ]
        assert sorted(lines[9:]) == [
            f"PYTHONPATH={root}",
            f"PYTHONPYCACHEPREFIX={root}/build/pycache",
        ]
    assert len(toy.calls) == 1
    assert not (tmp_path / ".venv").exists()


def test_its_python_finds_the_package_for_users_from_anywhere(ready: Toy) -> None:
    ready.run("--list")
    site = ready.checkout / ".venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    for before in (None, "/where/it/was/before\n"):
        if before is not None:
            (site / "divert_reference.pth").write_text(before)
        ready.run("--list")
        assert (site / "divert_reference.pth").read_text() == f"{ready.checkout}\n"


def test_called_in_another_checkout_it_is_itself(tmp_path: Path) -> None:
    """Python looks for modules first where it is called, and another checkout has the same."""
    for room in ("", "base"):
        (tmp_path / "harness" / room).mkdir(exist_ok=True)
        (tmp_path / "harness" / room / "__init__.py").touch()
    (tmp_path / "harness" / "base" / "cli.py").write_text("raise SystemExit('another one')\n")
    done = subprocess.run(
        [paths.ROOT / "inv", "--list"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "refresh-patches" in done.stdout


def test_a_colon_in_the_path_is_refused(tmp_path: Path) -> None:
    toy = Toy(tmp_path / "toy", tmp_path / "a:b")
    assert "colon" in said(toy, "--list")[0]


def test_a_checkout_that_cannot_be_written(ready: Toy) -> None:
    (ready.checkout / ".venv.lock").mkdir()  # as good as read-only, for root too
    (line,) = said(ready, "doctor")
    assert line.startswith(f"{ready.checkout} cannot be written")


def test_an_environment_as_new_as_the_lock_is_kept(ready: Toy) -> None:
    ready.run("--list")
    ready.run("--list")
    assert len(ready.calls) == 1
    (ready.checkout / "requirements.lock").write_text("newer\n")
    ready.run("--list")
    assert len(ready.calls) == 2


@pytest.mark.parametrize("umask", ["000", "020", "022", "002", "077"])
def test_nothing_is_made_that_any_user_can_write(umask: str, ready: Toy) -> None:
    """Else one of the host's other users could put a guest, keys or code of his own there."""
    starter = ready.folder / "bin" / "starter"
    ready.program("starter", f'umask {umask}; exec "{ready.checkout}/inv" "$@"\n')
    ready.run("--list", program=starter)
    made = list((ready.checkout / ".venv").rglob("*"))
    assert made
    assert not [path for path in made if path.stat().st_mode & 0o002]


# ---- what the host lacks


def test_one_command_has_all_of_it(toy: Toy) -> None:
    lines = said(toy, "test")
    assert lines[0] == "this host lacks:"
    assert "  python3 (package python3-venv): runs all of this" in lines[1]
    assert lines[-1] == f"run: sudo {INSTALL} {' '.join(BARE)}"
    assert [line for line in lines if "apt-get " in line and "package apt" not in line] == lines[
        -1:
    ]
    assert toy.calls == []


def test_its_packages_can_be_asked_for(toy: Toy) -> None:
    assert toy.run("setup", "--print-packages").stdout.split() == ALL
    assert not (toy.checkout / ".venv").exists()


@pytest.mark.parametrize("words", [("setup",), ("setup", "test", "--matrix", "defrag")])
def test_root_gets_all_of_it_at_once(toy: Toy, words: tuple[str, ...]) -> None:
    toy.uid = 0
    done = toy.run(*words)
    update, install, pip = toy.calls
    assert update.endswith(" update")
    assert install.split()[-len(BARE) :] == BARE
    assert {"--no-remove", "--no-install-recommends", "-y"} <= set(install.split())
    assert pip.startswith("pip ")
    assert f"running: {INSTALL} apt" not in done.stderr
    assert f"running: {INSTALL} bc" in done.stderr
    assert done.stdout.splitlines()[6:-2] == list(words)


@pytest.mark.parametrize("words", [("test",), ("setup", "--check-only"), ("run", "--", "setup")])
def test_root_who_does_not_ask_for_it_gets_nothing(toy: Toy, words: tuple[str, ...]) -> None:
    toy.uid = 0
    assert said(toy, *words)[-1] == f"run: {INSTALL} {' '.join(BARE)}"
    assert toy.calls == []


def test_no_sudo_where_there_is_none(toy: Toy) -> None:
    (toy.folder / "bin/sudo").unlink()
    assert said(toy, "setup")[-1].startswith(f"as root, run: {INSTALL} bc ")


@pytest.mark.parametrize(
    ("releases", "libraries"), [("HERE = 77", "gcc-77-multilib"), ("", "gcc-multilib")]
)
def test_without_lists_the_command_fetches_them(releases: str, libraries: str, toy: Toy) -> None:
    """The compiler's version is then that of the release, if it is a known one."""
    toy.withdraw()
    here = platform.freedesktop_os_release().get("VERSION_CODENAME", "none")
    data = toy.checkout / "harness/base/compilers.toml"
    text = data.read_text().partition("[releases]")[0]
    data.write_text(f"{text}[releases]\n{releases.replace('HERE', here)}\n")
    last = said(toy, "setup")[-1]
    assert last.startswith(f"run: sudo apt-get update; sudo {INSTALL} bc ")
    assert f" gcc {libraries} " in last
    assert " python3-venv " in last


def test_the_compiler_that_is_here_says_which_libraries(toy: Toy) -> None:
    toy.program("gcc", "echo 14\n")
    last = said(toy, "setup")[-1].split()
    assert "gcc-14-multilib" in last
    assert not {"gcc", "gcc-12-multilib", "gcc-multilib"} & set(last)
    toy.environment = {"DIVERT_GCC": "gcc-13"}
    assert {"gcc-13", "gcc-13-multilib"} < set(said(toy, "setup")[-1].split())


def test_what_is_here_is_not_asked_for(toy: Toy) -> None:
    toy.program("make", "")
    toy.installed("libc6-dev")
    assert not {"make", "libc6-dev"} & set(said(toy, "setup")[-1].split())


def test_another_machine_and_another_system(toy: Toy) -> None:
    toy.program("uname", "echo aarch64\n")
    assert "not packaged for aarch64: use an x86-64 machine" in said(toy, "setup")[-1]
    toy.program("uname", "echo x86_64\n")
    (toy.folder / "bin/apt-get").unlink()
    assert "no apt-get" in said(toy, "setup")[-1]


# ---- apt-get


def test_nothing_is_removed_for_us(toy: Toy) -> None:
    toy.uid = 0
    toy.says(
        "refusal",
        "Reading package lists...\nThe following packages will be REMOVED:\n"
        "  gcc-aarch64-linux-gnu\n  gcc-arm-linux-gnueabi\nThe following NEW packages\n  bc\n"
        "E: Packages need to be removed but remove is disabled.\n",
    )
    lines = said(toy, "setup")
    assert lines[-4].startswith("nothing was installed, since apt-get would have removed")
    assert lines[-3:-1] == ["  gcc-aarch64-linux-gnu", "  gcc-arm-linux-gnueabi"]


def test_a_list_that_cannot_be_had_is_a_warning(toy: Toy) -> None:
    toy.uid = 0
    toy.says("update", "W: something\nE: The repository of somebody else is broken\n")
    done = toy.run("setup")
    assert "inv: warning: apt-get update" in done.stderr
    assert "inv:   The repository of somebody else is broken" in done.stderr


def test_a_package_that_cannot_be_had(toy: Toy) -> None:
    toy.uid = 0
    toy.withdraw("genext2fs")
    lines = said(toy, "setup")
    assert "E: Unable to locate package genext2fs" in lines
    assert "build/logs/setup.log" in lines[-1]
    assert "genext2fs" in (toy.checkout / "build/logs/setup.log").read_text()


# ---- Python


def test_a_python_without_venv_gets_its_own(toy: Toy) -> None:
    toy.program("python3", python(10))
    toy.program("python3.12", python(12, "python3.12-venv"))
    assert " python3.12-venv " in said(toy, "setup")[-1]
    toy.installed("python3.12-venv")
    assert toy.run("--list").stdout.startswith(f"{toy.checkout}/.venv")


def test_an_old_python_is_not_helped_by_venv(toy: Toy) -> None:
    toy.program("python3", python(10))
    toy.withdraw("python3", "python3-venv")
    toy.offer("python3", "3.10.6-1")
    (line,) = said(toy, "doctor")
    assert "needs Python 3.11 or later, and this release has 3.10" in line
    toy.offer("python3.11-venv", "3.11.0~rc1-1")
    assert " python3.11-venv " in said(toy, "doctor")[-1]


# ---- pip


def test_no_network_is_said_in_two_lines(ready: Toy) -> None:
    warning = (
        "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by "
        "'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: "
        "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': "
        "/simple/attrs/\n"
    )
    ready.says("pip", f"{warning * 6}ERROR: No matching distribution found for attrs==23\n")
    lines = said(ready, "test")
    assert lines[1].endswith("cannot be downloaded: Temporary failure in name resolution")
    assert "PIP_INDEX_URL" in lines[2]
    assert len(lines) == 3
    ready.says("pip", "")
    ready.run("--list")


def test_an_index_that_does_not_answer_is_no_network_either(ready: Toy) -> None:
    broken = "ConnectTimeoutError(<x>, 'Connection to h timed out. (connect timeout=15)')"
    ready.says("pip", f"WARNING: Retrying (Retry(total=0)) after connection broken by '{broken}'\n")
    assert said(ready, "test")[1].endswith("cannot be downloaded: timed out")


@pytest.mark.parametrize(
    "fault", ["THESE PACKAGES DO NOT MATCH THE HASHES", "OSError: [Errno 28] No space left"]
)
def test_another_fault_of_pip_is_shown(fault: str, ready: Toy) -> None:
    ready.says("pip", f"WARNING: hm\nERROR: {fault}\n")
    lines = said(ready, "test")
    assert lines[1] == f"ERROR: {fault}"
    assert lines[2].endswith(f"all that it said: {ready.checkout}/.venv/pip.log")


def test_the_user_says_how_often_pip_tries(ready: Toy) -> None:
    ready.run("--list")
    (ready.checkout / ".venv/lock.stamp").unlink()
    ready.environment = {"PIP_CONFIG": "global.retries='9'"}
    ready.run("--list")
    assert ready.calls == ["pip retries=1", "pip retries="]
