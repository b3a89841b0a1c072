# SPDX-License-Identifier: GPL-2.0-only
"""The kernel module: its header for programs, its list of files, and what is made of its build.

That it builds for each kernel is a step of `check` of its own. What
harness/kernel/module.py does with a build is seen here with headers that are no kernel's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from harness.base import compiler, paths
from harness.base.errors import InfrastructureError
from harness.kernel import module
from harness.kernel.debiankernel import Headers

MODULE = paths.ROOT / "module"
PROGRAMS = paths.TESTS / "programs"


def test_every_source_is_built() -> None:
    kbuild = (MODULE / "Kbuild").read_text()
    lines = re.findall(r"^divert-.+? [:+]= (.*)$", kbuild, re.MULTILINE)
    built = [f"{name.removesuffix('.o')}.c" for name in " ".join(lines).split()]
    assert sorted(built) == sorted(str(path.relative_to(MODULE)) for path in MODULE.rglob("*.c"))


@pytest.mark.parametrize(
    ("configured", "refused"),
    [
        (("CONFIG_MODULES=y", "CONFIG_NETFILTER=y"), False),
        (("CONFIG_MODULES=y",), True),
        ((), False),
    ],
    ids=["netfilter", "none", "clean"],
)
def test_kernel_without_netfilter_is_refused_in_words(
    configured: tuple[str, ...], refused: bool
) -> None:
    words = ["make", "-f", str(MODULE / "Kbuild"), "--eval=all:;@:", *configured, "all"]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (result.returncode != 0) == refused
    assert ("needs a kernel with netfilter (CONFIG_NETFILTER)" in result.stderr) == refused


def test_one_circle_knows_the_other_by_divert_h_alone() -> None:
    for folder, other in (("rules", "socket"), ("socket", "rules")):
        own = {path.name for path in (MODULE / folder).iterdir()}
        for path in (MODULE / folder).glob("*.[ch]"):
            included = set(re.findall(r'^#include "(.*)"$', path.read_text(), re.MULTILINE))
            assert included <= own | {"divert.h", "compat.h"}, path
            assert not [name for name in included if name.startswith(other)], path


# Whose field it is, when it is asked for by a function.
OWNERS = {"divert_sk": "ds", "divert_net": "dn", "divert_ports": "ports"}
FIELD = r"(?:(\w+)|(divert_\w+)\([^()]*(?:\([^()]*\))?[^()]*\))->(\w+)"


def fields(pattern: str, text: str) -> set[str]:
    """Those that the pattern, in which @ stands for a field, finds in the text."""
    found = re.finditer(pattern.replace("@", FIELD), text)
    return {f"{match[1] or OWNERS[match[2]]}->{match[3]}" for match in found}


def test_what_is_read_without_a_lock_is_written_in_one_piece() -> None:
    """Else the compiler may write it in two, or a value that it never has; and KCSAN tells of it.

    Not before others can see it: in functions that make or initialize something.
    """
    texts = {path: path.read_text() for path in sorted(MODULE.rglob("*.c"))}
    read = set[str]().union(*(fields(r"\bREAD_ONCE\(@\)", text) for text in texts.values()))
    assert {"ports->used", "ds->read"} <= read
    plain = []
    for path, text in texts.items():
        name = ""
        for line in text.splitlines():
            # What begins in the first column with a name and a bracket is a function.
            if head := re.match(r"\w[^(=]*?(\w+)\(", line):
                name = head[1]
            if "init" in name or "make" in name:
                continue
            written = fields(r"@(?: [-+|&]?= |\+\+|--)", line) | fields(r"(?:\+\+|--)@", line)
            plain += [f"{path.name}: {name}: {field}" for field in sorted(written & read)]
    assert plain == []


@pytest.mark.parametrize(
    "path", [str(path.relative_to(MODULE)) for path in sorted(MODULE.rglob("*"))]
)
def test_files_say_their_licence_and_are_short(path: str) -> None:
    if not (MODULE / path).is_file() or path.endswith(".md"):
        return
    lines = (MODULE / path).read_text().splitlines()
    assert "SPDX-License-Identifier: GPL-2.0-only" in lines[0]
    assert len(lines) <= 300


@pytest.mark.parametrize(
    ("name", "bits", "flags"),
    [
        ("tools/abi", 32, ["-std=gnu99", "-Wall", "-Wextra", "-Werror"]),
        ("tools/abi", 64, ["-std=gnu99", "-Wall", "-Wextra", "-Werror"]),
        ("interceptor/howto", 32, ["-std=gnu89", "-w"]),
    ],
)
def test_programs_for_the_reference_compile_with_the_header(
    name: str, bits: int, flags: list[str], tmp_path: Path
) -> None:
    """R4, X5: beside the C library's headers, in the C of the year 2000 too."""
    gcc = compiler.for_32_bit() if bits == 32 else [compiler.name(), "-m64"]
    done = subprocess.run(
        [
            *(*gcc, *flags, "-isystem", str(MODULE / "include")),
            *("-c", str(PROGRAMS / f"{name}.c"), "-o", str(tmp_path / "object")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


# Stands for a kernel's Makefile: notes what it is asked for, and compiles one file.
KBUILD = """\
unexport LC_ALL
modules:
	@echo "$(M) W=$(W) CC=$(CC) KDIR=$(KDIR)" >>$(CURDIR)/asked
	$(CC) -g -Wall -I$(M)/include -c -o $(M)/divert.ko $(M)/main.c
"""
# The second symbol is one that only an oops would name.
GOOD = """\
#include "divert.h"
int divert_is_here = DIVERT; static __attribute__((used)) int only_told = 2;
"""


@pytest.fixture(name="headers")
def _headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Headers:
    """Headers of a kernel for a module of one file, with the Makefile of this project's."""
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    source, folder = tmp_path / "module", tmp_path / "headers"
    monkeypatch.setattr(module, "SOURCE", source)
    (source / "include").mkdir(parents=True)
    shutil.copyfile(MODULE / "Makefile", source / "Makefile")
    (source / "Kbuild").write_text("obj-m := divert.o\n")
    (source / "main.c").write_text(GOOD)
    (source / "include/divert.h").write_text("#define DIVERT 1\n")
    folder.mkdir()
    (folder / "Makefile").write_text(KBUILD)
    return Headers("9.9.0-1-amd64", folder, "headers", 0.0)


def asked(headers: Headers) -> list[str]:
    """What make was asked for in the folder of the headers, a line for each time."""
    file = headers.path / "asked"
    return file.read_text().splitlines() if file.exists() else []


def unbuilt(headers: Headers) -> InfrastructureError:
    with pytest.raises(InfrastructureError) as caught:
        module.build(headers)
    cache = paths.cache_dir() / "module"
    assert not [path for path in cache.iterdir() if path.is_dir()], "nothing of it is kept"
    return caught.value


def log_of(headers: Headers) -> Path:
    return paths.BUILD / "logs" / f"module-{headers.release}.log"


def test_module_is_built_for_these_headers_and_stripped(headers: Headers) -> None:
    built = module.build(headers)
    assert (built.path.name, built.cached) == ("divert.ko", False)
    assert built.seconds > 0
    (line,) = asked(headers)
    assert f"W=1 CC={compiler.name()} KDIR={headers.path}" in line
    # In a copy: nothing is left in module/, nor in the cache but two files.
    assert not line.startswith(str(module.SOURCE))
    files = sorted(path.name for path in built.path.parent.iterdir())
    assert files == ["divert.ko", "divert.ko.debug"]
    assert built.with_lines.name == files[1]
    assert sorted(path.name for path in module.SOURCE.iterdir()) == [
        *("Kbuild", "Makefile", "include", "main.c")
    ]
    dump = ["objdump", "-ht", str(built.path)]
    done = subprocess.run(dump, capture_output=True, text=True, check=True)
    assert "divert_is_here" in done.stdout
    assert "only_told" in done.stdout
    assert ".debug" not in done.stdout
    dump[-1] = str(built.with_lines)
    assert ".debug_line" in subprocess.run(dump, capture_output=True, text=True, check=True).stdout


def test_module_is_built_once(headers: Headers) -> None:
    first, again = module.build(headers), module.build(replace(headers, seconds=1.0))
    assert (again.cached, again.seconds) == (True, 0.0)
    assert (again.path, again.fingerprint) == (first.path, first.fingerprint)
    assert len(asked(headers)) == 1


def test_what_an_earlier_build_left_is_no_source(headers: Headers) -> None:
    first = module.build(headers)
    for name in ("divert.mod.c", "main.o", "divert.ko", "Module.symvers", "README.md"):
        (module.SOURCE / name).write_text("left")
    assert module.build(headers).path == first.path
    assert len(asked(headers)) == 1


@pytest.mark.parametrize("name", ["main.c", "include/divert.h", "Kbuild", "Makefile", "more.c"])
def test_changed_source_is_built_anew(headers: Headers, name: str) -> None:
    first = module.build(headers)
    with (module.SOURCE / name).open("a") as stream:
        stream.write("\n")
    second = module.build(headers)
    assert not second.cached
    assert second.fingerprint != first.fingerprint
    assert len(asked(headers)) == 2
    assert first.path.is_file()


def test_other_headers_have_a_module_of_their_own(headers: Headers) -> None:
    first = module.build(headers)
    second = module.build(replace(headers, fingerprint="another"))
    assert not second.cached
    assert second.path != first.path


def test_error_of_the_compiler_is_shown_and_its_log_is_named(headers: Headers) -> None:
    (module.SOURCE / "main.c").write_text(f"{GOOD}int f(void) {{ return wrong; }}\n")
    error = unbuilt(headers)
    assert "the module for 9.9.0-1-amd64 does not build" in error.message
    assert "main.c:3:" in error.message
    assert "undeclared" in error.message
    assert f"all of the log: {log_of(headers)}" in error.hint
    assert "undeclared" in log_of(headers).read_text()
    # Mended, it is built, and the log is that of this build alone.
    (module.SOURCE / "main.c").write_text(GOOD)
    assert not module.build(headers).cached
    assert "undeclared" not in log_of(headers).read_text()


def test_no_more_than_the_first_errors_are_shown(headers: Headers) -> None:
    wrong = "".join(f"int f{n}(void) {{ return wrong{n}; }}\n" for n in range(9))
    (module.SOURCE / "main.c").write_text(wrong)
    shown = unbuilt(headers).message.splitlines()[1:]
    assert len(shown) == 5
    assert "wrong0" in shown[0]


def test_warning_is_an_error(headers: Headers) -> None:
    (module.SOURCE / "main.c").write_text(f"{GOOD}static int idle;\n")
    error = unbuilt(headers)
    assert "main.c:3:12: warning: " in error.message
    assert str(log_of(headers)) in error.hint


def test_warning_in_another_language_is_one(
    headers: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = tmp_path / "speaker"
    speaker.write_text(
        "#!/bin/sh\n"
        "language=${LC_ALL:-${LC_MESSAGES:-$LANG}}$LC_CTYPE-$LANGUAGE word=Warnung\n"
        "case $language in C- | -) word=warning ;; esac\n"
        f'case $* in *main.c*) echo "$word: hm" >&2 ;; esac\nexec {compiler.name()} "$@"\n'
    )
    speaker.chmod(0o755)
    monkeypatch.setenv(compiler.VARIABLE, str(speaker))
    for name in ("LANG", "LC_MESSAGES", "LC_CTYPE", "LC_ALL", "LANGUAGE"):
        monkeypatch.setenv(name, "de_DE")
    assert "warning: hm" in unbuilt(headers).message


def test_make_that_cannot_be_started_is_no_error_of_the_module(
    headers: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(compiler.VARIABLE, str(shutil.which(compiler.name())))
    monkeypatch.setenv("PATH", str(tmp_path))
    error = unbuilt(headers)
    assert error.message == "the module: cannot start make: No such file or directory"
    assert error.hint == "run: ./inv setup"


def test_build_that_does_not_end_is_ended(
    headers: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    (headers.path / "Makefile").write_text("modules:\n\texec sleep 60\n")
    monkeypatch.setattr(module, "BUILD_SECONDS", 0.5)
    error = unbuilt(headers)
    assert error.message == "the module: make was still running after 0.5 s, and was ended"
    assert str(log_of(headers)) in error.hint
