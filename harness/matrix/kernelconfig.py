# SPDX-License-Identifier: GPL-2.0-only
"""A .config: composed of a base and fragments, resolved by the tree, checked against the request.

2.2.12 has CML1 (`Config.in`), which drops what it does not know and what its dependencies forbid
without a word, and so does its successor (`Kconfig`); so every option asked for is looked up in
what came out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, paths
from harness.base.errors import InfrastructureError

BASE = "base"
UNSET = "n"

OLDCONFIG_SECONDS = 120.0

_SET = re.compile(r"(CONFIG_\w+)=(\S.*)")
_NOT_SET = re.compile(r"# (CONFIG_\w+) is not set")
_ASKED_ANEW = re.compile(r"\((CONFIG_\w+)\) \[.*\] \(NEW\)")


@dataclass(frozen=True)
class Option:
    """One option asked for: its symbol, its value (`n` for not set), and the file that asks."""

    symbol: str
    value: str
    file: str


@dataclass(frozen=True)
class Unmet:
    """An option that did not take effect: what was asked, and the value it has instead."""

    option: Option
    resolved: str

    def __str__(self) -> str:
        asked = f"{self.option.symbol}={self.option.value} ({self.option.file})"
        return f"{asked} came out as {self.resolved}"


def compose(fragments: Sequence[str], base: str = BASE) -> tuple[Option, ...]:
    """The options of kernel-config/<base>.config with the fragments over it, sorted by symbol.

    Raises InfrastructureError for a fragment that is not there, or a line that is no option.
    """
    options: dict[str, Option] = {}
    for name in (base, *fragments):
        path = paths.KERNEL_CONFIG / f"{name}.config"
        try:
            text = path.read_text()
        except OSError as error:
            raise InfrastructureError(f"cannot read {path}: {error.strerror}") from error
        options |= {option.symbol: option for option in _options(text, path.name)}
    return tuple(options[symbol] for symbol in sorted(options))


def names() -> list[str]:
    """What there is to compose, by the names of the files without their ending."""
    return sorted(path.stem for path in paths.KERNEL_CONFIG.glob("*.config"))


def overlaid(options: Iterable[Option], changes: Iterable[Option]) -> tuple[Option, ...]:
    """The options with others in the place of those of the same symbols, sorted by symbol."""
    laid = {option.symbol: option for option in (*options, *changes)}
    return tuple(laid[symbol] for symbol in sorted(laid))


def _options(text: str, file: str) -> Iterable[Option]:
    for number, line in enumerate(text.splitlines(), 1):
        if match := _SET.fullmatch(line):
            yield Option(match[1], match[2], file)
        elif match := _NOT_SET.fullmatch(line):
            yield Option(match[1], UNSET, file)
        elif line.strip() and not line.startswith("#"):
            raise InfrastructureError(f"{file}:{number}: not an option: {line}")


def dump(options: Iterable[Option]) -> str:
    """The options as the text of a .config."""
    return "".join(
        f"# {option.symbol} is not set\n"
        if option.value == UNSET
        else f"{option.symbol}={option.value}\n"
        for option in options
    )


def parse(text: str) -> dict[str, str]:
    """The values in a .config, by symbol; `n` for those that it says are not set."""
    return {option.symbol: option.value for option in _options(text, ".config")}


def unmet(asked: Iterable[Option], resolved: Mapping[str, str]) -> tuple[Unmet, ...]:
    """The options asked for that have another value in `resolved`. What is not there is `n`."""
    return tuple(
        Unmet(option, resolved.get(option.symbol, UNSET))
        for option in asked
        if resolved.get(option.symbol, UNSET) != option.value
    )


def unanswered(output: str) -> tuple[str, ...]:
    """The symbols that oldconfig asked for anew, since the .config did not have them."""
    return tuple(match[1] for match in _ASKED_ANEW.finditer(output))


def resolve(
    asked: Sequence[Option],
    tree: Path,
    resolver: Sequence[str],
    log: Path,
    env: Mapping[str, str] | None = None,
) -> None:
    """Write `tree`/.config and let the tree resolve it with the command `resolver`.

    `env` is added to its environment.

    Raises InfrastructureError that names every option that did not take effect and the file that
    asked for it, and every option that none of the files answers.
    """
    (tree / ".config").write_text(dump(asked))
    begin = log.stat().st_size if log.exists() else 0
    what = f"make {resolver[-1]}"
    command.run(resolver, what=what, log=log, seconds=OLDCONFIG_SECONDS, cwd=tree, env=env)
    with log.open("rb") as stream:
        stream.seek(begin)
        output = stream.read().decode(errors="replace")
    if failed := unmet(asked, parse((tree / ".config").read_text())):
        raise InfrastructureError(
            "the kernel's configuration did not take effect:\n"
            + "\n".join(f"  {row}" for row in failed),
            "look at what these options depend on, in its Config.in or Kconfig, and kernel-config/",
        )
    if new := unanswered(output):
        raise InfrastructureError(
            f"the kernel asks for options that kernel-config/ does not answer: {', '.join(new)}",
            f"answer them in {BASE}.config",
        )
