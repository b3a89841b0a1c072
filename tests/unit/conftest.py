# SPDX-License-Identifier: GPL-2.0-only
"""What all unit tests stand on: signals as in the foreground, and no folder of the user's."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from harness.base import background

# How long an example takes is the host's, not the code's.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True, scope="session")
def signals_as_in_the_foreground() -> Iterator[None]:
    """A job in the background has SIGINT and SIGHUP ignored, and so would all that tests run."""
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.fixture(autouse=True)
def no_downloads_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests name the folders that they use; one that the user has set is none of theirs."""
    monkeypatch.delenv("DIVERT_DOWNLOADS", raising=False)


@pytest.fixture(autouse=True, scope="session")
def no_flags_of_the_user() -> Iterator[None]:
    """What tests compile themselves is compiled as builds are, whatever is exported."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CPATH", "C_INCLUDE_PATH", "GCC_EXEC_PREFIX", "LD_LIBRARY_PATH", "MAKEFLAGS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def broken_threads() -> Iterator[None]:
    """For a test that breaks a thread of the harness: the next one is not to hear of it."""
    yield
    background.forget()


@pytest.fixture(autouse=True)
def no_thread_is_broken() -> Iterator[None]:
    """A thread of the harness that ends by an exception fails the test in which it did."""
    yield
    background.check()
