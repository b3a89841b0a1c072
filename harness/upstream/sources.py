# SPDX-License-Identifier: GPL-2.0-only
"""Upstream releases: found or downloaded, checked against their manifests, unpacked once."""

from __future__ import annotations

import functools
import hashlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.base import fingerprint, paths, store, terminal
from harness.base.errors import HarnessError, InfrastructureError, MissingSourceError, UserError
from harness.upstream import archive, download, manifest, patches, treenames
from harness.upstream.releases import Source, load, parse_given

# Counts up when what is put into the store from the same archive changes.
RECIPE = "2"

TREE = "tree"
CONTENT = "content"


@dataclass(frozen=True)
class Verified:
    """A release that is what it says it is.

    `origin` is the archive or tree of the user; `tree` its content in the cache, to be copied and
    never changed; `content` the fingerprint of what is really in it; `differences` those from the
    manifest that were accepted.
    """

    source: Source
    origin: Path
    tree: Path
    content: str
    differences: manifest.Comparison


def locate(source: Source, given: Sequence[str] = ()) -> Path:
    """The archive, or the tree, of `source`: the one given, else in the downloads folder, else
    downloaded to there.

    Raises MissingSourceError if it is nowhere to be had, within a quarter of a minute when there is
    no network; it says which file to put where.
    """
    named = parse_given(given).get(source.name)
    if named is not None:
        return named
    found = downloaded(source)
    if found is not None:
        return found
    folder = paths.downloads_dir()
    reason = _failed_downloads.get((source.name, folder))
    if reason is None:
        guard = store.root() / "source" / f"{source.name}.lock"
        with store.disk_errors(guard), store.lock(guard, source.title, download=True):
            try:
                return downloaded(source) or _download(source, folder)
            except download.DownloadError as error:
                reason = error.message
                _failed_downloads[source.name, folder] = reason
    indented = "\n".join(f"  {line}" for line in reason.splitlines())
    raise MissingSourceError(
        f"{source.title} is not on this machine and could not be downloaded:\n{indented}",
        place(source),
    )


def place(source: Source) -> str:
    """Where to put the archive of `source`, or how to name it."""
    return (
        f"put {' or '.join(source.archives)} into {paths.downloads_dir()}, "
        f"or name the file: --source {source.name}=PATH"
    )


# One failure is enough for one process: six kernels do not wait for the network six times.
_failed_downloads: dict[tuple[str, Path], str] = {}


def downloaded(source: Source) -> Path | None:
    """The archive of `source` in the downloads folder, if there is one."""
    candidates = (paths.downloads_dir() / name for name in source.archives)
    found = next((path for path in candidates if path.is_file()), None)
    if found is not None:
        store.note(found)
    return found


def _download(source: Source, folder: Path) -> Path:
    urls = [place + name for place in source.places for name in source.archives]
    terminal.say(f"{source.title} is not in {folder}: downloading it")

    def verify(path: Path) -> None:
        _obtain(source, path)

    target = download.fetch(urls, folder, verify)
    terminal.say(f"downloaded {target}")
    return target


def obtain(name: str, given: Sequence[str] = ()) -> Verified:
    """The source `name`, found, verified and unpacked; what is in the cache is not read again.

    Says in one line which differences from the manifest were accepted, once a run.

    Raises what `locate` raises; UserError for what was given, and InfrastructureError for what was
    found in the downloads folder, if it is another version, truncated or corrupt, or differs in a
    file that the patches touch.
    """
    sources = load()
    if name not in sources:
        raise UserError(f"there is no source {name}", f"known: {', '.join(sources)}")
    source = sources[name]
    origin = locate(source, given)
    try:
        verified = _obtain(source, origin)
    except RefusedError as error:
        if name in parse_given(given):
            raise UserError(error.message, error.hint) from error
        raise
    if verified.differences:
        _say_differences(source.title, origin, verified.differences.summary())
    return verified


class RefusedError(InfrastructureError):
    """An archive or a tree that is not the release that it should be."""


@functools.cache
def _say_differences(title: str, origin: Path, summary: str) -> None:
    terminal.say(
        f"{title}: {origin.name} is accepted with differences that no patch touches: {summary}"
    )


def _obtain(source: Source, origin: Path) -> Verified:
    expected = manifest.load(source.manifest)
    check = functools.partial(_judge, source, origin, expected)
    if origin.is_dir():
        content = manifest.of_tree(origin, source.leave_out, expected)
        try:
            treenames.check_tree(content)
        except treenames.BadNameError as error:
            raise RefusedError(f"{origin}: {error}", _replace_hint(source, origin)) from error
        check(content, origin)
        key = fingerprint.of_bytes(RECIPE, "tree", manifest.dump(content))
        fill = functools.partial(_copy_tree, origin, content)
    else:
        key = fingerprint.of_bytes(RECIPE, "archive", _digest_of(origin, "sha256"))
        fill = functools.partial(_unpack, source, origin, check)
    entry = store.obtain("source", key, fill, f"the tree of {source.title}")
    content = manifest.load(entry.path / CONTENT)
    differences = check(content, entry.path / TREE)
    content_key = fingerprint.of_bytes(manifest.dump(content))
    return Verified(source, origin, entry.path / TREE, content_key, differences)


Check = Callable[[Mapping[str, str], Path], manifest.Comparison]


def _unpack(source: Source, origin: Path, check: Check, folder: Path) -> None:
    terminal.say(f"unpacking {origin}")
    try:
        content = archive.unpack(origin, folder / TREE)
    except archive.BadArchiveError as error:
        raise RefusedError(
            f"{origin}: {error.message}; expected was {source.title} in one of "
            f"{', '.join(source.archives)}",
            _replace_hint(source, origin),
        ) from error
    check(content, folder / TREE)
    (folder / CONTENT).write_text(manifest.dump(content))


def _copy_tree(origin: Path, content: Mapping[str, str], folder: Path) -> None:
    for name, value in content.items():
        target = folder / TREE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if value.startswith("link:"):
            target.symlink_to(value.removeprefix("link:"))
        else:
            shutil.copyfile(origin / name, target)
            archive.settle(target)
    (folder / CONTENT).write_text(manifest.dump(content))


def _judge(
    source: Source,
    origin: Path,
    expected: Mapping[str, str],
    content: Mapping[str, str],
    tree: Path,
) -> manifest.Comparison:
    """The differences that are accepted. Raises RefusedError for those that are not."""
    version = _version(source, content, tree)
    hint = _replace_hint(source, origin)
    if version != source.version:
        is_what = f"version {version}" if version else "something else"
        raise RefusedError(f"{origin} is {is_what}; expected was {source.title}", hint)
    differences = manifest.compare(expected, content)
    vital = differences.within(patches.touched(source.name) & expected.keys())
    if vital:
        raise RefusedError(
            f"{origin} is not {source.title} in files that the patches change: {vital.summary()}",
            hint,
        )
    return differences


def _version(source: Source, content: Mapping[str, str], tree: Path) -> str | None:
    if source.version_file not in content:
        return None
    text = (tree / source.version_file).read_text(encoding="latin-1")
    match = re.search(source.version_pattern, text)
    return ".".join(match.groups()) if match else None


def _replace_hint(source: Source, origin: Path) -> str:
    if origin.parent == paths.downloads_dir():
        return f"remove it and run this again to download {source.title}, or put a good one there"
    return f"give another: --source {source.name}=PATH"


def _digest_of(path: Path, algorithm: str) -> str:
    try:
        status = path.stat()
        return _digest(path, algorithm, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise InfrastructureError(f"cannot read {path}: {error.strerror}") from error


@functools.cache
def _digest(path: Path, algorithm: str, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()


# Counts up when a key of the JSON goes, or means something else.
SCHEMA = 1


def report(given: Sequence[str] = (), *, as_json: bool = False) -> None:
    """Print where each source is and how it compares, for people or `as_json`; get what is missing.

    Raises the first error after all sources have been looked at.
    """
    table = terminal.Grid("source", "archive or tree", "verdict")
    errors: list[HarnessError] = []
    rows = []
    for name, source in load().items():
        try:
            verified = obtain(name, given)
        except (UserError, InfrastructureError) as error:
            errors.append(error)
            rows.append(_row(name, source, None, error.message, error.hint))
            table.row(name, "-", terminal.text(error.message.splitlines()[0], style="red"))
        else:
            rows.append(_row(name, source, verified, verdict(source, verified)))
            table.row(name, str(verified.origin), verdict(source, verified))
    if as_json:
        terminal.show_json({"schema": SCHEMA, "sources": rows})
    else:
        terminal.show(table)
    if errors:
        # A mistake in --source is found anew for every source.
        for further in dict.fromkeys(map(str, errors[1:])):
            if further != str(errors[0]):
                terminal.say(further)
        raise errors[0]


def _row(
    name: str, source: Source, verified: Verified | None, message: str, hint: str = ""
) -> dict[str, object]:
    return {
        "source": name,
        "title": source.title,
        "verified": verified is not None,
        "origin": str(verified.origin) if verified else None,
        "message": message,
        "hint": hint,
    }


def verdict(source: Source, verified: Verified) -> str:
    """One line: whether the archive is a published one, and what differs from the manifest."""
    published = source.digests.get(verified.origin.name) if verified.origin.is_file() else None
    said = "content verified"
    if published is not None:
        algorithm, _, value = published.partition(":")
        same = _digest_of(verified.origin, algorithm) == value
        said += "; the published archive" if same else "; packed anew (not the published digest)"
    if verified.differences:
        said += f"; {verified.differences.summary()}"
    return said
