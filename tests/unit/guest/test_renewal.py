# SPDX-License-Identifier: GPL-2.0-only
"""A guest that goes on from a snapshot is told the time, and gets random numbers of its own."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from harness.base.errors import GuestError
from harness.guest import renewal

TIME = '{"call":"settime","result":0}\n'
TODAY = '{"call":"open","result":3}\n{"call":"ioctl","result":0,"value":0}\n'


@pytest.mark.parametrize("said", [TIME, TIME + TODAY], ids=["2.2.12", "today"])
def test_each_guest_gets_another_seed(said: str) -> None:
    shell = MagicMock()
    shell.check.return_value = said
    renewal.renew(shell)
    renewal.renew(shell)
    first, second = (call.kwargs["stdin"] for call in shell.check.call_args_list)
    assert len(first) == len(second) == 64
    assert first != second


@pytest.mark.parametrize(
    "said",
    [
        "",
        '{"call":"settime","result":-1,"error":"EPERM"}\n',
        TIME + '{"call":"open","result":3}\n{"call":"ioctl","result":-1,"error":"EINVAL"}\n',
        "sh: calls: not found\n",
    ],
)
def test_guest_that_does_not_is_of_no_use(said: str) -> None:
    shell = MagicMock()
    shell.check.return_value = said
    with pytest.raises(GuestError, match="does not renew"):
        renewal.renew(shell)
