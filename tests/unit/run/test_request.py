# SPDX-License-Identifier: GPL-2.0-only
"""What a run is asked to do, and the command line that asks for the same again."""

from __future__ import annotations

import copy
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from invoke.parser import Parser
from invoke.parser.context import ParserContext

import tasks
from harness.base.errors import UserError
from harness.debian import packages
from harness.debian.hostrelease import Release
from harness.matrix import kernels, variants
from harness.run import inventory, request, runner, worker
from harness.run.inventoryfiles import Inventory
from harness.run.request import Request
from harness.run.selection import Selection


def asked(command: str) -> dict[str, object]:
    """The options of a command line, as invoke reads them for the task `test`."""
    program, *words = shlex.split(command)
    assert program == "./inv"
    # invoke takes the help out of a task when it reads its arguments.
    known = copy.copy(tasks.test)
    known.help = dict(known.help)
    task = ParserContext("test", args=known.get_arguments())
    (_, found) = Parser(contexts=[task], initial=ParserContext()).parse_argv(words)
    return {name: argument.value for name, argument in found.args.items()}


def of(*names: str, **more: object) -> Request:
    known = variants.load()
    return Request(tuple(known[name] for name in names), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("codename", ["bookworm", "trixie", "noble", ""])
@pytest.mark.parametrize(
    "names",
    [
        ("base",),
        ("stock", "off"),
        ("passthrough+defrag", "linux-6.1:base"),
        ("linux-6.1:stock", "linux-6.12:stock"),
        ("stock", "off", "base", "passthrough", "defrag", "passthrough+defrag"),
    ],
)
def test_command_means_the_same_variants_on_every_host(
    names: tuple[str, ...], codename: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "", codename))
    wanted = of(*names)
    options = asked(wanted.command)
    again = variants.select(str(options["variant"]), None, options["kernel"])  # type: ignore[arg-type]
    assert again == wanted.variants


@pytest.mark.parametrize(
    "expression", ["", "reinject", "a or not b", "test_x[it's one]", "x and -y"]
)
def test_command_has_all_that_the_tests_depend_on(expression: str) -> None:
    places = ("linux-2.2.12=/x y.tar.gz", "ipchains-1.3.9=/$HOME")
    options = asked(
        of("base", selected=Selection(expression), seed=0, jobs=3, given=places).command
    )
    assert options["k"] == expression
    assert (options["seed"], options["jobs"]) == ("0", "3")
    assert options["source"] == list(places)


def test_what_was_not_asked_for_is_not_in_the_command() -> None:
    assert of("off").command == "./inv test --variant off --seed 0 --jobs 1"


@pytest.fixture(name="one_processor")
def _one_processor() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def test_guests_at_once_are_by_the_processors_that_this_process_may_use(
    one_processor: None,
) -> None:
    assert request.default_jobs() == 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"seed": ""}, "--seed : it has to be a number"),
        ({"seed": "-1"}, "--seed -1: it has to be a number"),
        ({"seed": "1.5"}, "--seed 1.5: it has to be a number"),
        ({"variant": ","}, "--variant names nothing"),
        ({"kernel": ""}, "--kernel names nothing"),
        ({"kernel": "linux-6.2"}, "there is no kernel linux-6.2"),
        ({"variant": "off", "kernel": "linux-6.1"}, "there is no variant off"),
        ({"matrix": "base"}, "there is no option base"),
        ({"require": ("linux-6.1", "linux-9")}, "--require linux-9: there is no such kernel"),
    ],
)
def test_request_that_cannot_be_is_refused_before_anything_runs(
    options: dict[str, object], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(asked_for: Request) -> runner.RunResult:
        raise AssertionError(asked_for)

    monkeypatch.setattr(runner, "run", run)
    with pytest.raises(UserError) as caught:
        runner.test(request.asked(**options))  # type: ignore[arg-type]
    assert caught.value.message == complaint


def test_request_of_a_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "survey", lambda *_: {})
    monkeypatch.setattr(inventory, "require", lambda *_, **__: Inventory({}, {}))
    seen = [
        request.asked(variant="base", kernel=kernels.REFERENCE, seed=seed, given=["x=y"])
        for seed in ("7", None, None)
    ]
    assert seen[0] == of(
        "base", jobs=request.default_jobs(), seed=7, given=("x=y",), owed={"base": {}}
    )
    # Each run has an order of its own, which its command line brings back.
    assert seen[1].seed != seen[2].seed
    assert asked(seen[1].command)["seed"] == str(seen[1].seed)


@pytest.mark.parametrize(
    ("tests", "long"),
    [(0, True), (1, False), (60, True)],
)
def test_slower_boot_pays_for_many_tests(tests: int, long: bool) -> None:
    assert of("base", tests={f"t{n}": () for n in range(tests)}).long_on("base") is long


@pytest.mark.slow
def test_selection_that_applies_to_other_variants_alone_names_one() -> None:
    chosen = [variants.load()["base"]]
    with pytest.raises(UserError, match=r"\) applies to base: they need divert, keep") as error:
        request.requested(chosen, "test_m_kept")
    assert "try: ./inv test --variant linux-6.1:base -k test_m_kept" in error.value.hint


def test_tools_are_for_guests_to_look_into_and_for_own_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The suite's verdict is of the image that it is for."""
    monkeypatch.setattr(request, "requested", lambda rows, *_, **more: of(rows[0].name))
    modern = "linux-6.1:base"
    with pytest.raises(UserError, match=r"--tools is for tests of your own.*\nadd --keep"):
        request.asked(variant=modern, tools=True)
    with pytest.raises(UserError, match=r"--tools: base is Linux 2\.2\.12"):
        request.asked(variant=f"base,{modern}", keep=True, tools=True)
    own = tmp_path / "test_own.py"
    own.write_text("")
    assert request.asked(variant=modern, keep=True, tools=True).tools
    assert request.asked(variant=modern, files=[str(own)], tools=True).tools
    assert not request.asked(variant=modern).tools
