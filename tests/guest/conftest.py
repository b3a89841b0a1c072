# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the guest tests beside those that divert_reference.fixtures has for everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from divert_reference.guest import Guest
from harness.guest.shell import Shell
from tests.guest.support.stack import Namespace


@pytest.fixture
def namespaces(guest: Guest, shell: Shell) -> Iterator[Callable[..., Namespace]]:
    """Makes network namespaces, each with a program in it: namespaces(), namespaces(user=True)."""
    made: list[Namespace] = []

    def make(*, user: bool = False) -> Namespace:
        made.append(Namespace(guest, shell, guest.agent, user=user))
        return made[-1]

    yield make
    for each in made:
        each.close()
