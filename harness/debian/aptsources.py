# SPDX-License-Identifier: GPL-2.0-only
"""The entries of APT's source lists, and lists of what the host does not fetch itself (pure).

APT has two forms of them: one line an archive (`.list`), and paragraphs (`.sources`, deb822). Here
an entry has one URI and one suite, so that each can be judged by itself; the rest of it, such as
signed-by and trusted, stays in the form in which it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from debian.deb822 import Deb822

from harness.debian.hostrelease import Release

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>\S.*)")

# What of an entry is said anew when it is written.
_REWRITTEN = frozenset({"types", "uris", "suites", "components", "enabled"})


@dataclass(frozen=True)
class Entry:
    """One suite of one archive; `options` are one line's words, `fields` a paragraph's others."""

    uri: str
    suite: str
    components: tuple[str, ...]
    options: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] | None = None

    @property
    def name(self) -> str:
        """As messages name it, and as a one-line list has it."""
        return f"{self.uri} {self.suite}"

    @property
    def release_file(self) -> str:
        """The URI of the file by which APT begins."""
        return f"{self.uri.rstrip('/')}/dists/{self.suite}/InRelease"

    @property
    def ending(self) -> str:
        """Of the name of a list with this entry."""
        return "list" if self.fields is None else "sources"

    def of(self, suite: str, components: Sequence[str]) -> Entry:
        """The same archive's `suite`, and what `components` has of it."""
        return Entry(self.uri, suite, tuple(components), self.options, self.fields)

    def text(self, architecture: str | None) -> str:
        """A list with it, for source packages (architecture None) or an architecture's binaries."""
        kind = "deb" if architecture else "deb-src"
        if self.fields is None:
            options = [*self.options, *([f"arch={architecture}"] if architecture else ())]
            words = [kind, *([f"[{' '.join(options)}]"] if options else ())]
            return " ".join([*words, self.uri, self.suite, *self.components]) + "\n"
        fields = {
            "Types": kind,
            "URIs": self.uri,
            "Suites": self.suite,
            "Components": " ".join(self.components),
            **({"Architectures": architecture} if architecture else {}),
            **dict(self.fields),
        }
        # A value of several lines (a key in Signed-By) has its line breaks and indentation in it.
        return "".join(f"{key}: {value}\n" for key, value in fields.items())


def parse_list(text: str) -> list[Entry]:
    """The entries of a `.list`, without those for source packages."""
    entries = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if match:
            suite, *components = match["rest"].split()
            words = (match["options"] or "").split()
            options = tuple(word for word in words if not word.startswith("arch"))
            entries.append(Entry(match["uri"], suite, tuple(components), options))
    return entries


def parse_sources(text: str) -> list[Entry]:
    """The entries of a `.sources`, without those for source packages and those that are off."""
    return [entry for fields in _paragraphs(text) for entry in _of_paragraph(fields)]


def candidates(entries: Iterable[Entry], release: Release) -> list[Entry]:
    """Those entries that may be of the release, by their words: each once, with its components.

    Others may use the same words of what is theirs; Release files tell.
    """
    found = (
        entry.of(entry.suite, release.components)
        for entry in entries
        if entry.suite in release.suites and "main" in entry.components
    )
    return list(dict.fromkeys(found))


def _of_paragraph(fields: Mapping[str, str]) -> Iterable[Entry]:
    off = fields.get("enabled", "yes").strip().lower() in {"no", "false", "0"}
    if off or "deb" not in fields.get("types", "").split():
        return
    others = tuple(
        (key.title(), value)
        for key, value in fields.items()
        if key not in _REWRITTEN and not key.startswith("architectures")
    )
    components = tuple(fields.get("components", "").split())
    for uri in fields.get("uris", "").split():
        for suite in fields.get("suites", "").split():
            yield Entry(uri, suite, components, fields=others)


def _paragraphs(text: str) -> Iterable[dict[str, str]]:
    for paragraph in Deb822.iter_paragraphs(text, use_apt_pkg=False):
        yield {key.lower(): value for key, value in paragraph.items()}
