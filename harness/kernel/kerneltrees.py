# SPDX-License-Identifier: GPL-2.0-only
"""Trees that are configured anew for one kernel after another, so that what stays is not compiled.

What depends on an option is 2.2.12's own make's to know: scripts/split-include gives each option a
header of its own, on which all that names the option depends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.base import fingerprint, store
from harness.matrix import kernelconfig
from harness.matrix.kernelconfig import Option
from harness.upstream import patches, sources

# By which options all is compiled anew: each has a tree for each of its values.
_OF_ALL = ("CONFIG_SMP",)


class Trees:
    """Trees in a folder, of any source, series and options."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(
        self,
        source: sources.Verified,
        series: Iterable[patches.Series],
        options: Iterable[Option],
    ) -> Path:
        """Where the tree is that can be used, or is to be."""
        whole = [option for option in options if option.symbol in _OF_ALL]
        parts = (source.content, *(part.fingerprint for part in series), kernelconfig.dump(whole))
        return self._folder / fingerprint.of_bytes(*parts)[:16]


@contextmanager
def trees(parent: Path) -> Iterator[Trees]:
    """Trees in a folder of `parent` while this lasts: what an interrupted make has left is not to
    be trusted, nor another process's to be shared.

    Raises InfrastructureError if the folder cannot be written.
    """
    with store.disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix="trees-", dir=parent)
    with folder as name:
        yield Trees(Path(name))
