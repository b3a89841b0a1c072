# SPDX-License-Identifier: GPL-2.0-only
"""Guests for tests of one's own, by plain pytest: pytest -p divert_reference.plugin my_test.py.

The fixtures are those of divert_reference.fixtures. Each test has the guest as it was after its
boot. `./inv test my_test.py` does the same, on several variants, with a report.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.errors import HarnessError, UserError
from harness.boot import bootable
from harness.interactive import session
from harness.matrix import availability, variants
from harness.run.worker import WorkerSpec

pytest_plugins = ["harness.run.plugin", "divert_reference.fixtures"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("divert sockets")
    group.addoption("--variant", default="base", help="the kernel variant to test on")
    group.addoption(
        "--divert-source",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="use this archive for an upstream source",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Build what the guest boots; it is booted for the first test that asks for it."""
    config.option.divert_own = True
    if config.getoption("--divert-worker") is None and not config.option.collectonly:
        config.option.divert_worker = _told(
            config.getoption("--variant"), tuple(config.getoption("--divert-source"))
        )


def _told(variant: str, given: tuple[str, ...]) -> Path:
    """The file that tells a session what it boots. Raises pytest.UsageError for what the user has
    wrong, and pytest.exit's error for what this host lacks.
    """
    try:
        built = bootable.build(variants.named(variant), given)
        folder = session.new_folder("pytest")
        spec = WorkerSpec.of(built, availability.look(given), folder, given, own=True)
        file = folder / "worker.json"
        spec.write(file)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    except HarnessError as error:
        pytest.exit(str(error), returncode=error.exit_status)
    return file
