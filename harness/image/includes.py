# SPDX-License-Identifier: GPL-2.0-only
"""The headers that a program of the year 2000 could include, as data: where each is, or why not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.base.datafile import Schema, Table


class _Glibc(Table, frozen=True, kw_only=True):
    names: tuple[str, ...]


class _Headers(Table, frozen=True, kw_only=True):
    same: dict[str, str | tuple[str, ...]]
    after: dict[str, str]
    absent: dict[str, str]
    glibc: _Glibc


DATA = Schema(_Headers, "images/sysroot/headers.toml")

_LICENSE = "/* SPDX-License-Identifier: GPL-2.0-only */\n"


@dataclass(frozen=True)
class Includes:
    """What images/sysroot/headers.toml has; the names are as in #include.

    `same` are the headers that have it, `after` the one that has to come before, `absent` why it is
    not there; `glibc` are those of glibc 2.1, the measure.
    """

    same: Mapping[str, tuple[str, ...]]
    after: Mapping[str, str]
    absent: Mapping[str, str]
    glibc: tuple[str, ...]

    def texts(self) -> dict[str, str]:
        """The headers that are made of it, by their names (pure)."""
        texts = {
            name: "".join(f"#include <{other}>\n" for other in others)
            for name, others in self.same.items()
        }
        for name, other in self.after.items():
            texts[name] = f"#include <{other}>\n#include_next <{name}>\n"
        for name, why in self.absent.items():
            texts[name] = f"#error {json.dumps(f'no {name}: {why}')}\n"
        return {name: _LICENSE + text for name, text in texts.items()}


def load() -> Includes:
    """The file. Raises UserError if it is not as its head says."""
    said = DATA.read()
    same = {name: (row,) if isinstance(row, str) else row for name, row in said.same.items()}
    return Includes(same, said.after, said.absent, said.glibc.names)


def write(folder: Path) -> None:
    """Put these headers into `folder`, beside those that are written by hand."""
    for name, text in load().texts().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
