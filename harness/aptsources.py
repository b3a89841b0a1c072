# SPDX-License-Identifier: GPL-2.0-only
"""The host's APT source lists, rewritten for what the host itself does not fetch (pure functions).

APT has two forms of them: one line an archive (`.list`), and paragraphs (`.sources`, deb822).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Where a distribution keeps packages that the host's own list may leave out.
EXTRA_COMPONENTS = {"ubuntu": ("universe",)}

# What the distribution's own suites may be called besides the release's code name. Its updates
# and security suites are left out: they bring nothing that a source tarball has, a stable release
# without them stays the same for years, and a mirror that is behind in them stops nobody.
_OWN_NAMES = ("stable", "oldstable", "testing", "unstable", "sid")

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>\S.*)")


@dataclass(frozen=True)
class Release:
    """The host's release, by the words of os-release: ID, VERSION_ID, VERSION_CODENAME."""

    distribution: str
    version: str
    codename: str

    def other(self, codename: str) -> Release:
        """Another release of the same distribution, by its code name; this one, if it is that."""
        return self if codename in {"", self.codename} else Release(self.distribution, "", codename)

    @property
    def name(self) -> str:
        """For folders and messages: `debian-12`, `ubuntu-24.04`, `debian-sid`."""
        return f"{self.distribution}-{self.version or self.codename or 'unknown'}"


def parse_release(text: str) -> Release:
    """The release that an os-release file describes; what it lacks is empty."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            fields[key.strip()] = value.strip().strip("\"'")
    return Release(
        fields.get("ID", "linux"),
        fields.get("VERSION_ID", ""),
        fields.get("VERSION_CODENAME", ""),
    )


def rewrite_list(
    text: str, release: Release, architecture: str | None, codename: str = ""
) -> list[str]:
    """Lines of a `.list` for source packages (architecture None) or an architecture's binaries.

    Of the host's own distribution only; options such as signed-by and trusted stay as they are.
    `codename` is that of the release wanted, if it is another than the host's.
    """
    lines: list[str] = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.partition("#")[0].strip())
        if not match:
            continue
        suite, *components = match["rest"].split()
        if not _is_own(suite, release) or "main" not in components:
            continue
        options = [word for word in (match["options"] or "").split() if not word.startswith("arch")]
        if architecture:
            options.append(f"arch={architecture}")
        words = ["deb" if architecture else "deb-src"]
        words += [f"[{' '.join(options)}]"] if options else []
        words += [match["uri"], codename or suite, *_components(components, release)]
        lines.append(" ".join(words))
    return lines


def rewrite_sources(
    text: str, release: Release, architecture: str | None, codename: str = ""
) -> list[str]:
    """Paragraphs of a `.sources`, rewritten as `rewrite_list` does; each ends with a newline."""
    rewritten = (
        _rewrite_paragraph(fields, release, architecture, codename) for fields in _paragraphs(text)
    )
    return [paragraph for paragraph in rewritten if paragraph]


def _rewrite_paragraph(
    fields: dict[str, str], release: Release, architecture: str | None, codename: str
) -> str | None:
    suites = [suite for suite in fields.get("suites", "").split() if _is_own(suite, release)]
    components = fields.get("components", "").split()
    enabled = fields.get("enabled", "yes").strip().lower() not in {"no", "false", "0"}
    if not enabled or not suites or "main" not in components:
        return None
    if "deb" not in fields.get("types", "").split():
        return None
    fields = fields | {
        "types": "deb" if architecture else "deb-src",
        "suites": codename or " ".join(suites),
        "components": " ".join(_components(components, release)),
    }
    fields = {key: value for key, value in fields.items() if not key.startswith("architectures")}
    if architecture:
        fields["architectures"] = architecture
    # A value of several lines (a key in Signed-By) has its line breaks and indentation in it.
    return "".join(f"{key.title()}: {value}\n" for key, value in fields.items())


def _paragraphs(text: str) -> Iterable[dict[str, str]]:
    for block in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in {" ", "\t"} and key:
                fields[key] += f"\n{line}"
            elif ":" in line:
                name, _, value = line.partition(":")
                key = name.strip().lower()
                fields[key] = value.strip()
        if fields:
            yield fields


def _is_own(suite: str, release: Release) -> bool:
    return suite in {release.codename, *_OWN_NAMES}


def _components(components: Sequence[str], release: Release) -> list[str]:
    extra = EXTRA_COMPONENTS.get(release.distribution, ())
    return [*components, *(name for name in extra if name not in components)]
