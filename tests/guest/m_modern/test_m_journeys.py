# SPDX-License-Identifier: GPL-2.0-only
"""I2, M10, M11. What is taken and given back is what it was: the table of journeys.toml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from divert_reference.programs import Calls
from harness.base.errors import GuestError, GuestLostError
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from tests.guest.support.journey import Journey
from tests.guest.support.journeyrow import NOTHING, Row, table
from tests.guest.support.stack import Namespace


def _cases() -> Iterator[Any]:
    for row in table():
        for place in row.places:
            where = place.replace(" ", "+").replace("/", "-")
            name = f"{row.name}-{'nowhere' if place == NOTHING else where}"
            mark = pytest.mark.statement(*row.statements)
            yield pytest.param(row, place, id=name, marks=mark)


@pytest.mark.parametrize(("row", "place"), list(_cases()))
def test_journey(
    row: Row,
    place: str,
    guest: Machine,
    shell: Shell,
    calls: Calls,
    namespaces: Callable[[], Namespace],
) -> None:
    """Whatever is done with it, all is as without the rule."""
    journey = Journey(row, guest, shell, calls, namespaces)
    wrong: list[str] = []
    for doing in row.doings(place):
        expected = journey.without(doing)
        where = row.elsewhere if doing == "address" and row.elsewhere else row.leaves
        assert expected.arrived(where), f"without a rule neither: {expected}"
        try:
            found = journey.with_rules(place, doing).differences(expected)
        except GuestLostError:
            raise
        except (AssertionError, GuestError) as error:
            found = [str(error)]
        wrong += [f"{doing}: {each}" for each in found]
    assert not wrong, "\n".join([f"{row.what}, taken on {place}:", *wrong])
