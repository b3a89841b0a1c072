# SPDX-License-Identifier: GPL-2.0-only
"""The reference in other configurations than the variants' (SPEC.md O4), as data: which there are.

Each is a variant where it is named (variants.py); harness/check/configurationrun.py builds them.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from harness.base import datafile
from harness.base.datafile import Keys, Schema, Table
from harness.matrix import features, kernelconfig
from harness.matrix.kernelconfig import Option
from harness.matrix.pairwise import Clause, Model, Row

FILE = "configurations.toml"
# The fragment of kernel-config that each of them has, and how their names begin.
FRAGMENT = "configurations"
PREFIX = "configuration-"

_Value = Literal["y", "m", "n"]
YES, MODULE, NO = "y", "m", "n"
_BOOLEAN = (YES, NO)
_MODULES = "MODULES"


class _Option(Table, frozen=True, kw_only=True):
    """What the file says of an option."""

    values: tuple[_Value, ...] = ("y", "n")
    needs: dict[str, _Value | tuple[_Value, ...]] = msgspec.field(default_factory=dict)
    forces: dict[str, _Value] = msgspec.field(default_factory=dict)
    gives: frozenset[str] = frozenset()
    ours: bool = False
    file: str = ""


class _Fault(Table, frozen=True, kw_only=True):
    when: dict[str, _Value]
    says: str
    why: str


class _Named(Table, frozen=True, kw_only=True):
    what: str
    options: dict[str, _Value]


class _Check(Table, frozen=True, kw_only=True):
    builds: int
    sample: str


class _Data(Table, frozen=True, kw_only=True):
    boots: int
    wide: tuple[str, ...]
    check: _Check
    guest: dict[str, _Value]
    named: dict[str, _Named]
    options: dict[str, _Option]
    faults: tuple[_Fault, ...]


DATA = Schema(_Data, f"harness/matrix/{FILE}")


@dataclass(frozen=True)
class Choice:
    """One option of the network stack, or one macro of a file in net/ipv4: `file`.

    It is asked for where the others have one of the values of `needs`; its y gives others those of
    `forces`, and the kernel the features `gives`. `ours`: stock 2.2.12 has it not.
    """

    name: str
    values: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    forces: Mapping[str, str]
    gives: frozenset[str]
    ours: bool = False
    file: str = ""


@dataclass(frozen=True)
class Fault:
    """What 2.2.12 itself does not build, what is said then, and why."""

    when: Mapping[str, str]
    says: str
    why: str


@dataclass(frozen=True)
class Data:
    """All that harness/matrix/configurations.toml says; `named` has whole rows, with their words.

    `boots`: how many are made to be booted. `wide` are the choices on which most of the kernel
    depends. `check_builds`: how many `invoke check` builds, and
    `check_sample` what it tests on one of them, as pytest's -k.
    """

    choices: Mapping[str, Choice]
    faults: tuple[Fault, ...]
    guest: Mapping[str, str]
    boots: int
    named: Mapping[str, tuple[str, Row]]
    wide: tuple[str, ...]
    check_builds: int
    check_sample: str

    @property
    def model(self) -> Model:
        """What covering arrays are made of."""
        values = {name: choice.values for name, choice in self.choices.items()}
        return Model(values, [*self.dependencies(), *self._sound()])

    def dependencies(self) -> Iterator[Clause]:
        """As Config.in has it, which values of others each can have."""
        for name, choice in self.choices.items():
            for other, values in choice.needs.items():
                yield {name: frozenset({NO}), other: frozenset(values)}
            for other, value in choice.forces.items():
                yield {name: frozenset(choice.values) - {YES}, other: frozenset({value})}
            if MODULE in choice.values:
                yield {name: frozenset(_BOOLEAN), _MODULES: frozenset({YES})}

    def _sound(self) -> Iterator[Clause]:
        for fault in self.faults:
            yield {
                name: frozenset(self.choices[name].values) - {value}
                for name, value in fault.when.items()
            }


@dataclass(frozen=True)
class Configuration:
    """One configuration: a value for each choice; `boots`: whether a guest can have it."""

    name: str
    what: str
    values: Mapping[str, str]
    boots: bool
    choices: Mapping[str, Choice]

    def has(self, name: str) -> bool:
        """Whether the kernel itself has it, not as a module."""
        return self.values[name] == YES

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of the kernel's configuration."""
        return tuple(
            Option(f"CONFIG_{name}", value, FILE)
            for name, value in self.values.items()
            if not self.choices[name].file
        )

    @property
    def make(self) -> tuple[str, ...]:
        """What make is told besides: the macros, for the file that has each."""
        return tuple(
            f"CFLAGS_{Path(choice.file).with_suffix('.o')}=-D{name}"
            for name, choice in self.choices.items()
            if choice.file and self.has(name)
        )

    @property
    def gives(self) -> frozenset[str]:
        """The features that the kernel has by its options."""
        return frozenset[str]().union(
            *(choice.gives for name, choice in self.choices.items() if self.has(name))
        )

    @property
    def lacks(self) -> frozenset[str]:
        """The features that others have by their options, and this one has not."""
        return frozenset[str]().union(*(row.gives for row in self.choices.values())) - self.gives


def load() -> Data:
    """The data file, as it is. Raises UserError if it is not as it says."""
    said = DATA.read()
    DATA.refuse(_wrong(said))
    choices = {name: _choice(name, row) for name, row in said.options.items()}
    return Data(
        choices,
        tuple(Fault(row.when, row.says, row.why) for row in said.faults),
        said.guest,
        said.boots,
        {name: (row.what, _base(choices) | row.options) for name, row in said.named.items()},
        said.wide,
        said.check.builds,
        said.check.sample,
    )


def _wrong(said: _Data) -> Iterator[datafile.Fault]:
    """Options that are none, values that one cannot have, and words for features that are none."""
    words = features.words()
    yield from datafile.each_among(("wide",), said.wide, said.options)
    yield from _unknown(("guest",), said.guest, said)
    for name, named in said.named.items():
        yield from _unknown(("named", name, "options"), named.options, said)
    for number, fault in enumerate(said.faults):
        yield from _unknown(("faults", number, "when"), fault.when, said)
    for name, row in said.options.items():
        keys = ("options", name)
        yield from _unknown((*keys, "needs"), row.needs, said)
        yield from _unknown((*keys, "forces"), row.forces, said)
        for word in sorted(row.gives):
            yield from datafile.among((*keys, "gives"), word, words)


def _unknown(
    keys: Keys, values: Mapping[str, str | tuple[str, ...]], said: _Data
) -> Iterator[datafile.Fault]:
    for name, value in values.items():
        if name not in said.options:
            yield from datafile.among((*keys, name), name, said.options)
            continue
        for each in (value,) if isinstance(value, str) else value:
            yield from datafile.among((*keys, name), each, said.options[name].values)


def _choice(name: str, row: _Option) -> Choice:
    needs = {
        other: (value,) if isinstance(value, str) else value for other, value in row.needs.items()
    }
    return Choice(name, row.values, needs, row.forces, row.gives, row.ours, row.file)


def _base(choices: Mapping[str, Choice]) -> Row:
    """A value for each, as the variant `base` has them."""
    asked = {row.symbol: row.value for row in kernelconfig.compose(("divert",))}
    return {name: asked.get(f"CONFIG_{name}", NO) for name in choices}


@functools.cache
def rows() -> dict[str, Configuration]:
    """All of them by name: those that have names, those that boot and differ most, the others.

    Each pair of values that can be is in one of them. They are the same each time; it takes a
    second or two to find them.
    """
    data = load()
    model = data.model
    made = [_row(name, row, data, what) for name, (what, row) in data.named.items()]
    given = [row for _, row in data.named.values()]
    booting = list(itertools.islice(model.rows(dict(data.guest), given), data.boots))
    given += booting
    numbered = [*booting, *model.rows({}, given)]
    digits = len(str(len(numbered)))
    made += [_row(f"{number:0{digits}}", row, data) for number, row in enumerate(numbered, 1)]
    return {row.name: row for row in made}


def _row(name: str, values: Row, data: Data, what: str = "") -> Configuration:
    boots = all(values[other] == value for other, value in data.guest.items())
    return Configuration(f"{PREFIX}{name}", what or _words(values), values, boots, data.choices)


def _words(values: Mapping[str, str]) -> str:
    """What is on, in short: for the report."""
    return "on: " + " ".join(
        name if value == YES else f"{name}={value}" for name, value in values.items() if value != NO
    )


def booting(count: int) -> Sequence[Configuration]:
    """The first of those that boot: of any number of them, they differ most."""
    return [row for row in rows().values() if row.boots][:count]
