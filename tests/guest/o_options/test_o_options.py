# SPDX-License-Identifier: GPL-2.0-only
"""O: the options as the kernel's own configuration offers them, and what is left without them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pexpect
import pytest

from harness.base import command
from harness.kernel import kernel
from harness.matrix import kernelconfig, variants
from harness.run.worker import WorkerSpec
from harness.upstream import patches, sources

statement = pytest.mark.statement

DIVERT = "IP: divert sockets (CONFIG_IP_DIVERT)"
PASSTHROUGH = "IP: divert pass-through (CONFIG_IP_DIVERT_PASSTHROUGH)"
DEFRAG = "IP: always defragment (required for masquerading) (CONFIG_IP_ALWAYS_DEFRAG)"
ASK_SECONDS = 60


@pytest.fixture(scope="module")
def tree(worker_spec: WorkerSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patched source, to ask questions of its own configuration scripts."""
    folder = tmp_path_factory.mktemp("options")
    source = sources.obtain(kernel.SOURCE, worker_spec.given)
    series = patches.load_parts(kernel.SOURCE, ("toolchain", "divert"))
    kernel.prepare(source, series, folder / "linux", folder / "log")
    return folder / "linux"


def answered(**changes: str | None) -> str:
    """A .config of `base`'s with the three options open, and changes: CONFIG_<name>=<value>."""
    values: dict[str, str | None] = {
        row.symbol: row.value for row in kernelconfig.compose(variants.load()["base"].fragments)
    }
    for symbol in ("IP_DIVERT", "IP_DIVERT_PASSTHROUGH", "IP_ALWAYS_DEFRAG"):
        values[f"CONFIG_{symbol}"] = None
    values |= {f"CONFIG_{name}": value for name, value in changes.items()}
    rows = (kernelconfig.Option(name, value, "") for name, value in values.items() if value)
    return kernelconfig.dump(rows)


def dialogue(tree: Path, config: str, answers: Mapping[str, str]) -> str:
    """What `make oldconfig` asks and says.

    `answers` has what to type for an option; else its default is taken.
    """
    (tree / ".config").write_text(config)
    argv = kernel.make_command("oldconfig")
    asked = r"[^\n]*\(CONFIG_\w+\) \[[^\]]*\] \(NEW\) "
    process = pexpect.spawn(
        argv[0],
        argv[1:],
        cwd=str(tree),
        env=command.clean(),
        encoding="utf-8",
        echo=False,
        timeout=ASK_SECONDS,
    )
    text = ""
    with process:
        while process.expect([asked, pexpect.EOF]) == 0:
            text += str(process.before) + str(process.after) + "\n"
            symbol = str(process.after).rpartition("(CONFIG_")[2].partition(")")[0]
            process.sendline(answers.get(symbol, ""))
        text += str(process.before)
    assert process.exitstatus == 0, text
    return text.replace("\r", "")


@statement("O1/config")
def test_config_asks_for_the_options(tree: Path) -> None:
    text = dialogue(tree, answered(), {"IP_DIVERT": "y"})
    assert text.index(DEFRAG) < text.index(DIVERT) < text.index(PASSTHROUGH)
    networking = text.index("* Networking options")
    assert networking < text.index(DEFRAG)
    assert text.index(PASSTHROUGH) < text.index("\n*\n", text.index(PASSTHROUGH))


@statement("O1/defrag")
def test_always_defragment_is_where_it_was(
    tree: Path, worker_spec: WorkerSpec, tmp_path: Path
) -> None:
    """But for the one new question the dialogue is that of the tree without the series."""
    source = sources.obtain(kernel.SOURCE, worker_spec.given)
    toolchain = patches.load_parts(kernel.SOURCE, ("toolchain",))
    stock = tmp_path / "linux"
    kernel.prepare(source, toolchain, stock, tmp_path / "log")
    answers = {"IP_ALWAYS_DEFRAG": "y"}
    ours = dialogue(tree, answered(), answers).splitlines()
    theirs = dialogue(stock, answered(IP_DIVERT=None), answers).splitlines()
    new = [line for line in ours if line not in theirs]
    assert [line.partition(" [")[0].strip() for line in new] == [DIVERT]
    assert [line for line in ours if line not in new] == theirs
    # And so are the symbols that the answers have made.
    resolved = [kernelconfig.parse((each / ".config").read_text()) for each in (tree, stock)]
    assert resolved[0] == resolved[1] | {"CONFIG_IP_DIVERT": "n"}
    assert resolved[1]["CONFIG_IP_ALWAYS_DEFRAG"] == "y"


def help_text(tree: Path, symbol: str) -> str:
    """What answering `?` shows: title and text, from the file that every front end reads."""
    text = (tree / "Documentation/Configure.help").read_text(encoding="latin-1")
    entries = re.findall(rf"^(.+)\n{symbol}\n((?:  .*\n|\n(?=  ))+)", text, re.MULTILINE)
    assert len(entries) == 1, f"{symbol} has {len(entries)} help texts"
    return "\n".join(entries[0])


@statement("O1/help")
def test_options_are_explained(tree: Path) -> None:
    divert = help_text(tree, "CONFIG_IP_DIVERT")
    assert divert.startswith("IP: divert sockets\n")
    assert "target DIVERT" in divert
    passthrough = help_text(tree, "CONFIG_IP_DIVERT_PASSTHROUGH")
    assert passthrough.startswith("IP: divert pass-through\n")
    assert "with the target DENY" in passthrough
    # The stock text goes on with ours.
    defrag = help_text(tree, "CONFIG_IP_ALWAYS_DEFRAG")
    assert defrag.index("masquerading") < defrag.index('With "IP: divert sockets"')


@statement("O1/needs")
@pytest.mark.parametrize(
    ("changes", "divert"),
    [
        ({"IP_DIVERT": "n"}, {"CONFIG_IP_DIVERT": "n"}),
        ({"EXPERIMENTAL": "n"}, {}),
        ({"IP_FIREWALL": "n"}, {}),
        ({"FIREWALL": "n"}, {}),
    ],
    ids=["divert-off", "not-experimental", "no-ip-firewall", "no-firewall"],
)
def test_options_depend_on_what_they_need(
    tree: Path, changes: dict[str, str], divert: dict[str, str]
) -> None:
    text = dialogue(tree, answered(**changes), {"IP_DIVERT": "y"})
    resolved = kernelconfig.parse((tree / ".config").read_text())
    assert DIVERT not in text or divert
    assert PASSTHROUGH not in text
    assert {name: resolved.get(name) for name in divert} == divert
    assert "CONFIG_IP_DIVERT_PASSTHROUGH" not in resolved
    # Always-defragment does not wait for the experimental prompt, as in stock 2.2.12.
    assert (DEFRAG in text) == (not {"IP_FIREWALL", "FIREWALL"} & set(changes))


@statement("O1/xconfig")
def test_xconfig_offers_the_options(tree: Path, artifacts: Path) -> None:
    # All of `make xconfig` but the window, which wish would draw.
    wish = artifacts / "wish"
    wish.write_text('#!/bin/sh\ncp "$2" "$0.script"\n')
    wish.chmod(0o755)
    command.run(
        kernel.make_command("xconfig"),
        what="xconfig",
        log=artifacts / "make.log",
        seconds=ASK_SECONDS,
        cwd=tree,
        env={"PATH": f"{artifacts}:{os.environ['PATH']}"},
    )
    script = (artifacts / "wish.script").read_text()
    for text in ("IP: divert sockets", "IP: divert pass-through", "IP: always defragment"):
        assert script.count(f'"{text}') == 1, text


# In the place of the program that draws menuconfig's menus: it writes down what it is asked to
# show, and presses the keys of a plan, each an item's text and the status that the key ends with.
LXDIALOG = """\
import json, pathlib, sys

folder = pathlib.Path(__file__).parent
words = sys.argv[1:]
if "--textbox" in words:
    words.append(pathlib.Path(words[words.index("--textbox") + 1]).read_text())
with (folder / "shown").open("a") as shown:
    shown.write(json.dumps(words) + "\\n")
if "--menu" not in words:
    sys.exit(0)
(text, status), *rest = json.loads((folder / "plan").read_text())
(folder / "plan").write_text(json.dumps(rest))
if text:
    sys.stderr.write([tag for tag, item in zip(words, words[1:]) if text in item][0])
sys.exit(status)
"""
CHOOSE, HELP, YES, LEAVE = 0, 2, 3, 1


def menus(tree: Path, config: str, plan: list[tuple[str, int]]) -> list[list[str]]:
    """The arguments of each dialogue that `make menuconfig` shows while these keys are pressed."""
    folder = tree / "scripts/lxdialog"
    (folder / "Makefile").write_text("all:\n")
    program = folder / "lxdialog"
    script = folder / "lxdialog.py"
    script.write_text(LXDIALOG)
    program.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(script)])} "$@"\n')
    program.chmod(0o755)
    (folder / "plan").write_text(json.dumps(plan))
    (folder / "shown").unlink(missing_ok=True)
    (tree / ".config").write_text(config)
    argv = kernel.make_command("menuconfig")
    with pexpect.spawn(
        argv[0],
        argv[1:],
        cwd=str(tree),
        env=command.clean(),
        encoding="utf-8",
        timeout=ASK_SECONDS,
    ) as process:
        process.expect(pexpect.EOF)
    assert process.exitstatus == 0, process.before
    assert json.loads((folder / "plan").read_text()) == [], process.before
    return [json.loads(line) for line in (folder / "shown").read_text().splitlines()]


@statement("O1/menuconfig")
def test_menuconfig_offers_the_options(tree: Path) -> None:
    config = answered(IP_DIVERT="n", IP_DIVERT_PASSTHROUGH="n", IP_ALWAYS_DEFRAG="n")
    plan = [
        ("Networking options", CHOOSE),
        ("IP: divert sockets", HELP),
        ("IP: divert sockets", YES),
        ("IP: divert pass-through", YES),
        ("IP: always defragment", YES),
        ("", LEAVE),
        ("", LEAVE),
    ]
    shown = menus(tree, config, plan)
    networking = [
        [word for word in words if word.startswith("[")]
        for words in shown
        if "Networking options" in words
    ]
    first, _after_help, *_, last = networking
    assert not [item for item in first if "pass-through" in item]
    divert, defrag = "IP: divert sockets", "IP: always defragment (required for masquerading)"
    assert [item for item in first if divert in item] == [f"[ ] {divert}"]
    places = [
        next(number for number, item in enumerate(last) if item.startswith(f"[*] {text}"))
        for text in (defrag, divert, "IP: divert pass-through")
    ]
    assert places[0] < places[1] == places[2] - 1
    (helped,) = [words[-1] for words in shown if "--textbox" in words]
    assert "CONFIG_IP_DIVERT:" in helped
    assert help_text(tree, "CONFIG_IP_DIVERT").splitlines()[1].strip() in helped
    resolved = kernelconfig.parse((tree / ".config").read_text())
    for symbol in ("IP_DIVERT", "IP_DIVERT_PASSTHROUGH", "IP_ALWAYS_DEFRAG"):
        assert resolved[f"CONFIG_{symbol}"] == "y", symbol


def objects(name: str, fragments: tuple[str, ...], worker_spec: WorkerSpec) -> Path:
    """The folder of net/ipv4's objects of a variant, with other fragments of the configuration."""
    variant = variants.load()[name]
    suffix = "".join(f"+{fragment}" for fragment in fragments)
    variant = dataclasses.replace(variant, name=name + suffix, fragments=fragments)
    return kernel.build(variant, given=worker_spec.given).objects / "net/ipv4"


@statement("O2/plain", "O2/defrag")
@pytest.mark.parametrize("fragments", [(), ("defrag",)], ids=["plain", "defrag"])
def test_object_code_is_that_of_the_toolchain_patches_alone(
    worker_spec: WorkerSpec, fragments: tuple[str, ...]
) -> None:
    stock = objects("stock", fragments, worker_spec)
    off = objects("off", fragments, worker_spec)
    if not fragments:
        assert off == Path(worker_spec.objects) / "net/ipv4"
    names = sorted(path.name for path in stock.glob("*.o"))
    assert {"ip_fw.o", "ip_input.o", "ip_output.o", "raw.o", "af_inet.o", "ipv4.o"} <= set(names)
    assert names == sorted(path.name for path in off.glob("*.o"))
    assert [
        name for name in names if (stock / name).read_bytes() != (off / name).read_bytes()
    ] == []


@statement("O2/defrag")
def test_always_defragment_makes_other_object_code(worker_spec: WorkerSpec) -> None:
    """Else the comparison with it would compare the same thing twice."""
    plain, defrag = (objects("off", fragments, worker_spec) for fragments in ((), ("defrag",)))
    assert (plain / "ip_input.o").read_bytes() != (defrag / "ip_input.o").read_bytes()


@statement("O3/matrix")
def test_matrix_is_the_cross_of_the_options(
    worker_spec: WorkerSpec, expected: Callable[[str], str]
) -> None:
    crossed = variants.select(None, "passthrough,defrag", worker_spec.kernel)
    names = ["base", "passthrough", "defrag", "passthrough+defrag"]
    assert [row.short for row in crossed] == names
    every = variants.select(None, None, worker_spec.kernel)
    beside = [row.short for row in every if row not in crossed]
    assert beside == expected("beside-the-matrix").split()


@statement("O3/options")
def test_kernel_has_the_options_of_its_variant(worker_spec: WorkerSpec) -> None:
    resolved = kernelconfig.parse((Path(worker_spec.bzimage).parent / "config").read_text())
    symbols = {
        "divert": "CONFIG_IP_DIVERT",
        "passthrough": "CONFIG_IP_DIVERT_PASSTHROUGH",
        "defrag": "CONFIG_IP_ALWAYS_DEFRAG",
    }
    found = {name for name, symbol in symbols.items() if resolved.get(symbol) == "y"}
    assert found == set(worker_spec.has) & set(symbols)
