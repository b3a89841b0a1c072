# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages of any architecture, and source packages, without touching the host.

apt-get runs with a source list, state and cache of its own, so it needs no root, and changes
nothing that the host's APT has; the host's proxy, certificates and keys stay in force. What it
downloads it has verified against the archive's signature. A download is kept, and not asked for
again.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import aptsources, command, fingerprint, paths, store
from harness.errors import InfrastructureError, UnavailableError

OS_RELEASE = Path("/etc/os-release")
APT_FOLDER = Path("/etc/apt")

# 20 MB of package lists, or a package of a few MB, over a slow line.
APT_SECONDS = 900.0

# Threads of this process queue here, without a word; other processes at the lock file.
_one_at_a_time = threading.Lock()

_TARBALL = re.compile(r"(?P<name>[^_]+)_(?P<version>.+?)\.(?:orig\.)?tar\.(?:gz|bz2|xz|zst)")
_DEB = re.compile(r"(?P<name>[^_]+)_(?P<version>.+?)_[^_]+\.deb")


@dataclass(frozen=True)
class Package:
    """A downloaded package: its one file, its version, and the file's SHA-256.

    The version is the upstream one for a source package, the whole one for a binary package.
    """

    name: str
    version: str
    path: Path
    digest: str


def source(name: str) -> Package:
    """The upstream tarball of the host release's source package `name`.

    Raises UnavailableError without a network, or if the release has no such package.
    """
    return _obtain(name, None)


def binary(name: str, architecture: str, codename: str = "") -> Package:
    """The host release's package `name` for a Debian architecture (i386, amd64); see `unpack`.

    Or that of another release of the same distribution, by its code name, from the host's mirror.
    Raises UnavailableError without a network, or if the release has no such package.
    """
    return _obtain(name, architecture, codename)


def unpack(package: Package, folder: Path, log: Path) -> None:
    """Unpack into `folder`: a source tarball without its topmost folder, or a package's files."""
    if package.path.suffix != ".deb":
        untar(package.path, folder, log)
        return
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["dpkg-deb", "-x", str(package.path), str(folder)]
    command.run(argv, what=f"unpacking {package.path.name}", log=log, seconds=120)


def untar(archive: Path, folder: Path, log: Path, seconds: float = 120) -> None:
    """Unpack a tarball into `folder`, without its topmost folder."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["tar", "-x", "--strip-components=1", "--no-same-owner"]
    argv += ["-C", str(folder), "-f", str(archive)]
    command.run(argv, what=f"unpacking {archive.name}", log=log, seconds=seconds)


def host_release() -> aptsources.Release:
    """The release that this host runs."""
    try:
        return aptsources.parse_release(OS_RELEASE.read_text())
    except OSError:
        return aptsources.parse_release("")


def _obtain(name: str, architecture: str | None, codename: str = "") -> Package:
    kind = architecture or "source"
    release = host_release().other(codename)
    folder = paths.downloads_dir() / "packages" / release.name / kind / name
    with store.disk_errors(folder):
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = store.lock(folder.parent / "apt.lock", f"the folder of {kind} packages")
            with _one_at_a_time, lock:
                if not folder.is_dir():
                    _download(name, architecture, release, folder)
        return _read(name, folder)


def _read(name: str, folder: Path) -> Package:
    try:
        digest, file = (folder / "SHA256SUMS").read_text().split()
        version = _version(file)
        found = fingerprint.of_file(folder / file)
    except (OSError, ValueError) as error:
        raise _damaged(name, folder) from error
    if found != digest or version is None:
        raise _damaged(name, folder)
    return Package(name, version, folder / file, digest)


def _damaged(name: str, folder: Path) -> InfrastructureError:
    return InfrastructureError(
        f"the package {name} in {folder} is not what was downloaded",
        "remove that folder, and it is fetched anew",
    )


def _version(file: str) -> str | None:
    match = _DEB.fullmatch(file) or _TARBALL.fullmatch(file)
    # In a file's name the colon after an epoch is escaped.
    return match["version"].replace("%3a", ":") if match else None


def _download(
    name: str, architecture: str | None, release: aptsources.Release, folder: Path
) -> None:
    """Fetch into a folder beside `folder`, which takes its name when it is whole."""
    apt = _prepared(paths.cache_dir(), architecture, release)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as work:
        partial = Path(work) / name
        partial.mkdir()
        verb = ["download"] if architecture else ["source", "--download-only", "--tar-only"]
        apt.run([*verb, name], what=f"downloading the package {name}", cwd=partial)
        files = [path for path in partial.iterdir() if _version(path.name)]
        if len(files) != 1:
            raise InfrastructureError(
                f"apt-get brought {len(files)} files for the package {name}, not one",
                f"what it said: {apt.log}",
            )
        digest = fingerprint.of_file(files[0])
        (partial / "SHA256SUMS").write_text(f"{digest}  {files[0].name}\n")
        partial.rename(folder)


@dataclass(frozen=True)
class _Apt:
    """apt-get with a folder of its own, for source packages or for one architecture."""

    root: Path

    @property
    def log(self) -> Path:
        return self.root / "log"

    def run(self, arguments: Sequence[str], *, what: str, cwd: Path | None = None) -> None:
        """Run apt-get. Raises UnavailableError with what it could not do, and why."""
        try:
            command.run(
                ["apt-get", "-q", f"-c={self.root / 'apt.conf'}", *arguments],
                what=what,
                log=self.log,
                seconds=APT_SECONDS,
                cwd=cwd,
                env={"LC_ALL": "C"},
                inherit=True,  # its proxy, and where its configuration is
            )
        except InfrastructureError as error:
            raise UnavailableError(
                f"{error.message.splitlines()[0]}\n{_failures(self.log)}",
                "what is missing here is taken as packages from the archive in /etc/apt: "
                f"see to the network, or the release, then run this again (log: {self.log})",
            ) from error


@functools.cache
def _prepared(cache: Path, architecture: str | None, release: aptsources.Release) -> _Apt:
    """apt-get in a folder of `cache`, its package lists as new as the archive had them when this
    process first asked.
    """
    apt = _Apt(cache / "apt" / f"{release.name}-{architecture or 'source'}")
    shutil.rmtree(apt.root / "lists.d", ignore_errors=True)
    for name in ("state/lists/partial", "cache/archives/partial", "lists.d"):
        (apt.root / name).mkdir(parents=True, exist_ok=True)
    (apt.root / "state/status").touch()
    apt.log.unlink(missing_ok=True)
    lists = host_lists(release, architecture)
    if not lists:
        raise UnavailableError(
            f"{APT_FOLDER} names no archive of {release.name} to take packages from",
            "the guest is made from packages of Debian or Ubuntu: "
            "use such a host, with its own archive (component main) in /etc/apt",
        )
    for file, text in lists.items():
        (apt.root / "lists.d" / file).write_text(text)
    (apt.root / "apt.conf").write_text(_configuration(apt.root, architecture))
    apt.run(["update"], what="fetching the lists of packages")
    return apt


def _failures(log: Path) -> str:
    """What apt-get could not fetch, and why: the first few such lines of its output."""
    lines = log.read_text(errors="replace").splitlines()
    failed = [line for line in lines if line.startswith(("Err:", "W: Failed", "E: "))]
    return "\n".join(f"  {line}" for line in failed[:4])


def host_lists(release: aptsources.Release, architecture: str | None) -> dict[str, str]:
    """The host's lists, rewritten: file name -> text, without those of which nothing is left."""
    host = host_release()
    codename = "" if release == host else release.codename
    parts = APT_FOLDER / "sources.list.d"
    lists: dict[str, str] = {}
    for path in [APT_FOLDER / "sources.list", *sorted(parts.glob("*.list"))]:
        if path.is_file():
            lines = aptsources.rewrite_list(path.read_text(), host, architecture, codename)
            lists[f"{path.stem}.list"] = "".join(f"{line}\n" for line in lines)
    for path in sorted(parts.glob("*.sources")):
        paragraphs = aptsources.rewrite_sources(path.read_text(), host, architecture, codename)
        lists[path.name] = "\n".join(paragraphs)
    return {name: text for name, text in lists.items() if text}


def _configuration(root: Path, architecture: str | None) -> str:
    """apt.conf, read after the host's own: every place that it would write to, and no hooks.

    Hooks of the host (desktop indexes, emptying the package cache) would touch the host. As root,
    apt-get would download as another user, who may not see `root`.
    """
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
    if architecture:
        lines += [
            f'APT::Architecture "{architecture}";',
            "#clear APT::Architectures;",
            f'APT::Architectures {{ "{architecture}"; }};',
        ]
    return "".join(f"{line}\n" for line in lines)
