# SPDX-License-Identifier: GPL-2.0-only
"""X5. What programs of the year 2000 find in the sysroot beside the HOWTO's ABI, by `./inv cc`."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base import compiler, paths
from harness.base.errors import InfrastructureError
from harness.guest.process import Result
from harness.guest.shell import Shell
from harness.image import includes, sysroot
from harness.network.addresses import LINKS
from harness.run.worker import WorkerSpec

statement = pytest.mark.statement

PROGRAMS = paths.ROOT / "tests" / "programs" / "of-the-time"

# What the compiler says of what is not there.
REFUSAL = "error: #error "

# A lock is there for who has no other thread; what begins one, or waits for it, is refused.
THREAD = """\
#include <pthread.h>
static void *run(void *data) { return data; }
int main(void) { pthread_t other; return pthread_create(&other, 0, run, 0); }
"""


def ran(name: str, shell: Shell, folder: Path, words: str = "") -> Result:
    """What comes of a program of PROGRAMS, compiled as the user does it."""
    target = folder / Path(name).stem
    sysroot.compile_for_user(str(PROGRAMS / name), flags=["-Wall"], output=str(target))
    shell.put(target, f"/root/{target.name}", mode=0o755)
    return shell.run(f"/root/{target.name} {words}")


@statement("X5/headers")
def test_every_header_of_glibc_is_there_or_the_compiler_says_why_not(
    worker_spec: WorkerSpec, tmp_path: Path
) -> None:
    root, known = sysroot.build(given=worker_spec.given), includes.load()
    source, output = tmp_path / "one.c", tmp_path / "one"
    wrong = {}
    for name in known.glibc:
        source.write_text(f"#include <{name}>\nint main() {{ return 0; }}\n")
        done = root.compile([source], output, sysroot.PERMISSIVE)
        why = known.absent.get(name)
        as_it_should = done.succeeded if why is None else REFUSAL in done.messages
        if not as_it_should or (why and why not in done.messages):
            wrong[name] = done.messages
    assert wrong == {}


@statement("X5/headers")
def test_what_begins_a_thread_is_refused_by_the_compiler(
    worker_spec: WorkerSpec, tmp_path: Path
) -> None:
    (tmp_path / "thread.c").write_text(THREAD)
    root = sysroot.build(given=worker_spec.given)
    for level in ("-O0", "-O2"):
        done = root.compile([tmp_path / "thread.c"], tmp_path / "thread", [level])
        assert not done.succeeded
        assert "there are no threads in the guest's libc: use fork, or poll" in done.messages


@statement("X5/headers")
def test_libraries_that_programs_name_are_there(worker_spec: WorkerSpec, tmp_path: Path) -> None:
    (tmp_path / "none.c").write_text("int main() { return 0; }\n")
    root = sysroot.build(given=worker_spec.given)
    flags = [f"-l{name}" for name in ("c", "m", "crypt", "dl", "nsl", "pthread", "resolv", "util")]
    assert root.compile([tmp_path / "none.c"], tmp_path / "none", flags).messages == ""


@statement("X5/lists")
def test_lists_of_bsd(shell: Shell, tmp_path: Path) -> None:
    assert ran("lists.c", shell, tmp_path).stdout.splitlines() == [
        "SLIST 1 3",
        "STAILQ 1 2 4",
        "LIST 1 2 4",
        "TAILQ 0 1 3 4",
        "TAILQ back 4 3 1 0",
        "CIRCLEQ 1 2 5",
        "CIRCLEQ back 5 2 1",
    ]


@statement("X5/functions")
def test_functions_do_what_they_are_for(shell: Shell, tmp_path: Path) -> None:
    result = ran("calls.c", shell, tmp_path)
    assert result.stdout.splitlines() == [
        "sigsetjmp 2 0",
        "ualarm 2 1",
        "mutex 0 1 1 0 1",
        "recursive 0 0",
        "once",
        "key 1 1",
        "dlopen 0, this is a static program: it cannot load shared objects",
        "dlerror 0",
    ]
    said = ["the first: No such file or directory", "the last"]
    assert result.stderr.splitlines() == [f"/root/calls: {line}" for line in said]
    assert result.status == 3


@statement("X5/functions")
@pytest.mark.needs("aliases")
def test_getifaddrs_lists_the_interfaces(shell: Shell, tmp_path: Path) -> None:
    shell.check("ifconfig eth1:0 192.0.2.77 netmask 255.255.255.0; ifconfig eth2 down")
    lines = ran("interfaces.c", shell, tmp_path).stdout.splitlines()
    near, far = LINKS
    assert "lo is 127.0.0.1 mask 255.0.0.0 up" in lines
    network = "mask 255.255.255.0 all"
    assert f"eth1 is {near.guest_ip} {network} 192.0.2.255 up" in lines
    assert f"eth1:0 is 192.0.2.77 {network} 192.0.2.255 up" in lines
    assert f"eth2 is {far.guest_ip} {network} 198.51.100.255" in lines
    assert len(lines) == len(set(lines))


@statement("X5/constructors")
def test_constructors_run_before_main_and_destructors_at_the_end(
    shell: Shell, tmp_path: Path
) -> None:
    result = ran("constructors.c", shell, tmp_path, "word")
    assert result.stdout.splitlines() == ["before 3, 2 arguments, word", "registered", "last"]
    assert result.status == 7


@statement("X5/c++")
def test_cplusplus_without_a_library(shell: Shell, tmp_path: Path) -> None:
    """On a host without the compiler for it, `cc` says which package has it."""
    if compiler.lacks_plus_plus():
        with pytest.raises(InfrastructureError, match="without C\\+\\+"):
            ran("objects.cc", shell, tmp_path)
        return
    result = ran("objects.cc", shell, tmp_path)
    assert result.status == 0
    assert result.stdout.splitlines() == [
        *["made divert"] * 3,
        "ports 1000 2000 3000",
        "gone divert",
        "protocol 254, size 20",
        *["gone divert"] * 2,
    ]
