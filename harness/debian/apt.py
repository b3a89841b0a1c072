# SPDX-License-Identifier: GPL-2.0-only
"""apt-get with lists, state and cache of its own: it changes nothing that the host's has.

So it needs no root; the host's proxy, certificates and keys stay in force.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import command, diskroom, terminal
from harness.base.errors import DeadlineError, HarnessError, InfrastructureError
from harness.debian import aptfailure
from harness.debian.aptfailure import Failure
from harness.debian.aptsources import Entry

# 20 MB of package lists, or a package of a few MB, over a slow line.
SECONDS = 900.0
_ASK_SECONDS = 30.0

_URI = re.compile(r"'(?P<uri>[^']*)' (?P<file>\S+)")


class AptError(Exception):
    """apt-get failed: why, and where all that it said is."""

    def __init__(self, failure: Failure, log: Path) -> None:
        super().__init__(failure.words)
        self.failure = failure
        self.log = log

    def error(self, what: str) -> HarnessError:
        """For whoever asked for `what`."""
        return self.failure.error(what, self.log)


@dataclass(frozen=True)
class Apt:
    """apt-get in the folder `root`, for source packages or for one architecture.

    Without `indexes` it fetches nothing but Release files.
    """

    root: Path
    architecture: str | None = None
    indexes: bool = True

    @property
    def log(self) -> Path:
        """All that it says. Nobody else writes there: whoever uses the folder holds its lock."""
        return self.root / "log"

    @property
    def _lists(self) -> Path:
        return self.root / "state/lists"

    def prepare(self, entries: Sequence[Entry]) -> None:
        """Make the folder for these entries, a list each. Raises OSError."""
        shutil.rmtree(self.root / "lists.d", ignore_errors=True)
        for name in ("state/lists/partial", "cache/archives/partial", "lists.d"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "state/status").touch()
        self.log.unlink(missing_ok=True)
        for number, entry in enumerate(entries):
            path = self.root / "lists.d" / f"{number:02}.{entry.ending}"
            path.write_text(entry.text(self.architecture))
        (self.root / "apt.conf").write_text(self._configuration())

    def run(self, arguments: Sequence[str], *, what: str, cwd: Path | None = None) -> str:
        """Run apt-get, and return what it said.

        Raises AptError if it fails, diskroom.FullError if that is for want of room, and
        DeadlineError if it does not end.
        """
        begin = self.log.stat().st_size if self.log.exists() else 0
        argv = ["apt-get", "-q", f"-c={self.root / 'apt.conf'}", *arguments]
        try:
            with terminal.activity(what, said=False):
                command.run(
                    argv,
                    what=what,
                    log=self.log,
                    seconds=SECONDS,
                    cwd=cwd,
                    env={"LC_ALL": "C"},
                    inherit=True,  # its proxy, and where its configuration is
                    into=self.root,
                )
        except diskroom.FullError:
            raise
        except DeadlineError as error:
            # What it says by then are attempts, of which the next might have done.
            raise DeadlineError(error.message, _slow(self.log)) from error
        except InfrastructureError as error:
            failure = aptfailure.judge(self._said(begin))
            if not failure.line:
                # It could not be started, or was killed.
                raise
            raise AptError(failure, self.log) from error
        return self._said(begin)

    def update(self, entries: Sequence[Entry], what: str) -> dict[Entry, Failure | Path]:
        """Fetch the lists: for each entry its Release file, or why it cannot be used.

        Raises InfrastructureError if apt-get cannot be started, and diskroom.FullError.
        """
        begin = self.log.stat().st_size if self.log.exists() else 0
        # It fails for the sake of one entry, and ends well without another: the files tell.
        with contextlib.suppress(AptError):
            self.run(["update"], what=what)
        said = self._said(begin)
        names = self._names()
        found: dict[Entry, Failure | Path] = {}
        for entry in entries:
            name = names.get(entry.release_file, "")
            release_file = self._release_file(name)
            failure = aptfailure.judge_entry(said, entry)
            # An index that is empty is not kept, and nothing is said of it.
            whole = release_file and (self._has_index(name, entry) or not failure.line)
            found[entry] = release_file if release_file and whole else failure
        lacking = any(isinstance(row, Failure) for row in found.values())
        if lacking and (full := diskroom.full(what, said, self.root)):
            raise full
        return found

    def _said(self, begin: int) -> str:
        with self.log.open("rb") as stream:
            stream.seek(begin)
            return stream.read().decode(errors="replace")

    def _names(self) -> dict[str, str]:
        """The names that apt-get gives to what it fetches first, by its URI."""
        argv = ["apt-get", "-q", f"-c={self.root / 'apt.conf'}", "update", "--print-uris"]
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_ASK_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InfrastructureError("cannot ask apt-get for its files' names") from error
        return {match["uri"]: match["file"] for match in _URI.finditer(done.stdout)}

    def _release_file(self, name: str) -> Path | None:
        """The Release file that apt-get calls so, if it is here, signed within or beside itself."""
        beside = name.removesuffix("InRelease") + "Release"
        paths = (self._lists / each for each in (name, beside) if name)
        return next((path for path in paths if path.is_file()), None)

    def _has_index(self, name: str, entry: Entry) -> bool:
        """Whether the list of packages is here that belongs to a Release file, or none is due."""
        place = f"binary-{self.architecture}_Packages" if self.architecture else "source_Sources"
        due = f"{name.removesuffix('InRelease')}{entry.components[0]}_{place}"
        here = (path.name for path in self._lists.iterdir())
        return not self.indexes or any(file.startswith(due) for file in here)

    def _configuration(self) -> str:
        """apt.conf, read after the host's own: every place that it would write to, and no hooks.

        Hooks of the host (desktop indexes, emptying the package cache) would touch the host. As
        root, apt-get would download as another user, who may not see `root`.
        """
        root = self.root
        lines = [
            f'Dir::State "{root}/state/";',
            f'Dir::State::lists "{root}/state/lists/";',
            f'Dir::State::status "{root}/state/status";',
            f'Dir::State::extended_states "{root}/state/extended_states";',
            f'Dir::Cache "{root}/cache/";',
            f'Dir::Cache::archives "{root}/cache/archives/";',
            'Dir::Cache::pkgcache "";',
            'Dir::Cache::srcpkgcache "";',
            f'Dir::Log "{root}";',
            'Dir::Etc::sourcelist "/dev/null";',
            f'Dir::Etc::sourceparts "{root}/lists.d/";',
            'Dir::Etc::preferences "/dev/null";',
            'Dir::Etc::preferencesparts "/dev/null";',
            'Acquire::Languages "none";',
            'APT::Sandbox::User "root";',
            "#clear Acquire::IndexTargets::deb::Contents-deb;",
            "#clear Acquire::IndexTargets::deb::DEP-11;",
            "#clear APT::Update::Pre-Invoke;",
            "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;",
        ]
        if not self.indexes:
            # The first that is asked of the network: who has none shall not wait for minutes.
            lines += ["#clear Acquire::IndexTargets;", 'Acquire::Retries "1";']
        if self.architecture:
            lines += [
                f'APT::Architecture "{self.architecture}";',
                "#clear APT::Architectures;",
                f'APT::Architectures {{ "{self.architecture}"; }};',
            ]
        return "".join(f"{line}\n" for line in lines)


def _slow(log: Path) -> str:
    return f"see in its output which mirror is slow, then run this again: {log}"


def release_fields(path: Path) -> Mapping[str, str]:
    """What a Release file says of its archive: Origin, Suite, Codename and others."""
    fields = {}
    for line in path.read_text(errors="replace").splitlines():
        name, colon, value = line.partition(": ")
        if line.startswith("MD5Sum:") or line.startswith("SHA256:"):
            break
        if colon and not name.startswith((" ", "-")):
            fields[name] = value.strip()
    return fields
