# SPDX-License-Identifier: GPL-2.0-only
"""Parts of the guest image: described soundly, built by their recipes, kept until they change."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.base import compiler, paths
from harness.base.errors import InfrastructureError
from harness.debian import packagefolder
from harness.kernel import parts
from harness.upstream import patches


@pytest.fixture(name="recipe", autouse=True)
def _recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe of a toy part, in a folder of images and with a cache of the test's own."""
    recipe = tmp_path / "images" / "toy"
    recipe.mkdir(parents=True)
    (recipe / "build.sh").write_text('echo "$JOBS" >"$OUT/jobs"\necho "${CFLAGS-}" >>"$OUT/jobs"\n')
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.setenv("DIVERT_CACHE", str(tmp_path / "cache"))
    return recipe


@pytest.fixture(name="toy")
def _toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> parts.Part:
    monkeypatch.setattr(paths, "IMAGES", tmp_path / "images")
    return parts.Part("toy", 30.0)


def test_every_part_has_a_recipe_and_one_source_at_most() -> None:
    wanted = parts.load()
    assert next(iter(wanted)) == "libc"
    for part in wanted.values():
        assert (part.recipe / "build.sh").is_file()
        assert not (part.package and part.upstream)
        assert bool(part.package) == bool(part.tried)
        assert set(part.needs) <= set(wanted)


def test_every_recipe_is_a_shell_script_without_errors() -> None:
    for part in parts.load().values():
        subprocess.run(["sh", "-n", part.recipe / "build.sh"], check=True)


def test_patches_are_there_for_every_libc_that_was_tried() -> None:
    libc = parts.load()["libc"]
    for version in libc.tried:
        (series,) = patches.load_all(f"{libc.package}-{version}")
        assert series.patches
        assert {"i386/mmap.S", "dietfeatures.h"} <= series.touched()


def test_repacked_libc_gets_upstreams_patches() -> None:
    (series,) = patches.load_for("dietlibc", packagefolder.upstream_version("0.34~cvs20160606+ds"))
    assert series.patches


def test_libc_of_a_version_without_patches_is_refused() -> None:
    """It would build, and be a libc for another kernel."""
    with pytest.raises(InfrastructureError, match=r"dietlibc-0\.35 has no patches here") as caught:
        patches.load_for("dietlibc", "0.35")
    assert "dietlibc-0.34~cvs20160606" in caught.value.message


def test_package_that_never_had_patches_needs_none() -> None:
    assert not any(series.patches for series in patches.load_for("busybox", "1.38.0"))


def test_built_once_and_again_when_the_recipe_changes(
    toy: parts.Part, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-O9")
    first = parts.build(toy, (), jobs=3)
    again = parts.build(toy, (), jobs=3)
    assert (first.cached, again.cached) == (False, True)
    assert (first.folder / "jobs").read_text() == "3\n\n"
    (recipe / "more").write_text("")
    changed = parts.build(toy, (), jobs=3)
    assert not changed.cached
    assert changed.fingerprint != first.fingerprint


def test_a_part_is_built_anew_when_what_it_needs_changes(toy: parts.Part, tmp_path: Path) -> None:
    def libc(fingerprint: str) -> parts.Built:
        return parts.Built("libc", tmp_path, fingerprint, 0.0, True)

    prints = {parts.build(toy, needs, jobs=1).fingerprint for needs in ((), (libc("a"),))}
    prints.add(parts.build(toy, (libc("b"),), jobs=1).fingerprint)
    assert len(prints) == 3


def test_a_recipe_finds_what_it_needs(
    toy: parts.Part, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (recipe / "build.sh").write_text('echo "$LIBC $CC $HOST_CC" "$HOST_CC32" >"$OUT/found"\n')
    libc = parts.Built("libc", tmp_path, "f", 0.0, True)
    for gcc in ("gcc", "cc"):
        monkeypatch.setenv(compiler.VARIABLE, gcc)
        built = parts.build(toy, (libc,), jobs=1)
        words = f"{tmp_path} {tmp_path}/bin/cc {gcc} {' '.join(compiler.for_32_bit())}\n"
        assert (built.folder / "found").read_text() == words


def test_a_recipe_is_read_where_the_cache_is(toy: parts.Part, recipe: Path, tmp_path: Path) -> None:
    """make takes no path with a space, and the checkout may have one."""
    (recipe / "more.h").write_text("more\n")
    (recipe / "build.sh").write_text(
        'cat "$RECIPE/more.h" >"$OUT/found"; echo "$RECIPE" >>"$OUT/found"\n'
    )
    found = (parts.build(toy, (), jobs=1).folder / "found").read_text().splitlines()
    assert found[0] == "more"
    assert found[1].startswith(str(tmp_path / "cache"))
    assert not Path(found[1]).exists()


@pytest.mark.parametrize("line", ["false", 'echo "$UNSET_BY_ANYBODY"', "exit 7"])
def test_a_recipe_that_fails_leaves_its_log_and_nothing_else(
    line: str, toy: parts.Part, recipe: Path, tmp_path: Path
) -> None:
    (recipe / "build.sh").write_text(f"echo before\n{line}\ntouch $OUT/after\n")
    with pytest.raises(InfrastructureError, match="building toy for the guest") as caught:
        parts.build(toy, (), jobs=1)
    log = tmp_path / "build" / "logs" / "toy.log"
    assert str(log) in caught.value.hint
    assert "before" in log.read_text()
    assert not [path for path in (tmp_path / "cache" / "part").iterdir() if path.is_dir()]


def test_the_compiler_refuses_what_the_guest_cannot_run(tmp_path: Path) -> None:
    """Flags that the kernel and the libc need come last, after those of a makefile."""
    target = tmp_path / "bin" / "cc"
    target.parent.mkdir()
    parts.write_compiler(target, flags="-DIN_FRONT", after="-DBEHIND")
    (tmp_path / "include").mkdir()
    program = tmp_path / "program.c"
    program.write_text(
        "#if !IN_FRONT || !BEHIND || defined(__SSE__) || defined(__SSP__) || !__i586__\n"
        "#error flags\n#endif\n#ifdef __pie__\n#error pie\n#endif\n"
    )
    argv = [str(target), "-msse", "-fstack-protector-all", "-fpie", "-fsyntax-only", str(program)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_main_in_an_archive_is_found(tmp_path: Path) -> None:
    """start.o goes before the caller's archives, the libc behind them."""
    text = (paths.IMAGES / "libc" / "cc").read_text()
    script = tmp_path / "bin" / "cc"
    script.parent.mkdir()
    script.write_text(text.replace("exec @GCC@", "echo").replace("@FLAGS@", ""))
    script.chmod(0o755)
    done = subprocess.run(
        [script, "lib.a", "-o", "program"], capture_output=True, text=True, check=True
    )
    words = done.stdout.split()
    start = next(number for number, word in enumerate(words) if word.endswith("start.o"))
    assert start < words.index("lib.a") < words.index("-Wl,--start-group")
    done = subprocess.run([script, "-c", "a.c"], capture_output=True, text=True, check=True)
    assert "start.o" not in done.stdout
