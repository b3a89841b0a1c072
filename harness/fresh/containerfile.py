# SPDX-License-Identifier: GPL-2.0-only
"""Containerfile, as far as ours goes (pure): what it starts from, its steps, its entry point."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.base.errors import UserError

NAME = "Containerfile"

_IMAGE = re.compile(r"(?:docker\.io/library/)?debian:(?P<release>[a-z]+)-slim")


@dataclass(frozen=True)
class Step:
    """One instruction that changes the image: RUN with a shell's command, or COPY of all to a
    folder; in which folder, and with which environment.
    """

    instruction: str
    argument: str
    folder: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Recipe:
    """The whole file: the release of Debian that it is of, and where and how its image runs."""

    release: str
    steps: tuple[Step, ...]
    entry_point: tuple[str, ...]
    folder: str = "/"
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def packages(self) -> tuple[str, ...]:
        """What its RUN lines install with apt-get."""
        found: list[str] = []
        for step in self.steps:
            for part in step.argument.split("&&") if step.instruction == "RUN" else ():
                words = shlex.split(part)
                if words[:1] == ["apt-get"] and "install" in words:
                    after = words[words.index("install") + 1 :]
                    found += [word for word in after if not word.startswith("-")]
        return tuple(found)

    def command(self, arguments: str) -> str:
        """The shell command that runs the image with these arguments."""
        return f"{shlex.join(self.entry_point)} {arguments}".rstrip()


def parse(text: str) -> Recipe:
    """Read a Containerfile. Raises UserError for what a room cannot do as an engine would."""
    release, folder, environment = "", "/", dict[str, str]()
    steps: list[Step] = []
    entry_point: tuple[str, ...] = ()
    for line in _joined(text):
        instruction, _, argument = line.partition(" ")
        argument = argument.strip()
        match instruction:
            case "FROM":
                found = _IMAGE.fullmatch(argument)
                if not found:
                    raise UserError(f"{NAME}: FROM {argument} is no image of Debian's, slim")
                release = found["release"]
            case "ENV":
                words = [word.partition("=") for word in shlex.split(argument)]
                environment |= {name: value for name, _, value in words}
            case "WORKDIR":
                folder = argument
            case "RUN":
                steps.append(Step("RUN", argument, folder, dict(environment)))
            case "COPY" if argument == ". .":
                steps.append(Step("COPY", argument, folder, dict(environment)))
            case "ENTRYPOINT" if argument.startswith("["):
                entry_point = tuple(json.loads(argument))
            case "VOLUME":
                pass
            case _:
                raise UserError(
                    f"{NAME}: {line} is not understood here",
                    "FROM, ENV, WORKDIR, RUN, COPY . ., VOLUME, and ENTRYPOINT with a list are",
                )
    if not release or not entry_point:
        raise UserError(f"{NAME} has no {'ENTRYPOINT' if release else 'FROM'}")
    return Recipe(release, tuple(steps), entry_point, folder, environment)


def _joined(text: str) -> list[str]:
    """Its instructions, each in one line; without comments and empty lines."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [line.strip() for line in whole.splitlines() if line.strip()]
