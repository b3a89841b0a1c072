# SPDX-License-Identifier: GPL-2.0-only
"""What became of the canaries last, for the reports of runs by the same harness."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.base import fingerprint, paths
from harness.base.errors import InfrastructureError
from harness.record import stream
from harness.record.events import CanariesEnded

FOLDER = "canaries"
_FILE = "last.jsonl"


def remember(rows: tuple[tuple[str, ...], ...]) -> None:
    """Keep the rows of a whole run: as CanariesEnded has them."""
    file = paths.BUILD / FOLDER / _FILE
    file.unlink(missing_ok=True)
    writer = stream.Writer(file)
    writer.write(CanariesEnded(harness=_harness(), rows=rows))
    writer.close()


def known() -> CanariesEnded | None:
    """The last of this checkout, if the harness is still the one that they were made in."""
    file = paths.BUILD / FOLDER / _FILE
    if not file.is_file():
        return None
    try:
        events = stream.read(file)
    except InfrastructureError:
        # Of another version, or cut off: as if there were none.
        return None
    ended = [event for event in events if isinstance(event, CanariesEnded)]
    return ended[-1] if ended and ended[-1].harness == _harness() else None


def _harness() -> str:
    return fingerprint.of_files(paths.ROOT, _sources())


def _sources() -> Iterator[Path]:
    yield from (paths.ROOT / "tests" / "guest").glob("conftest.py")
    for folder in ("harness", "divert_reference", "tests/guest/support"):
        found = (paths.ROOT / folder).rglob("*")
        yield from (path for path in found if path.suffix in (".py", ".toml"))
