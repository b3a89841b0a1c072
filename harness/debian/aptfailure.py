# SPDX-License-Identifier: GPL-2.0-only
"""Why apt-get failed: by what it printed, in words for whoever has to mend it (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.base.errors import AbsentError, HarnessError, InfrastructureError, UnavailableError
from harness.debian.aptsources import Entry

_NETWORK = "see to the network, then run this again"
_MIRROR = "try again later, or name another mirror in /etc/apt"
_TAMPERED = (
    "nothing of it is used: name another mirror in /etc/apt; if that has it too, do not trust it"
)
_KEY = "put the archive's own keyring in place (package debian-archive-keyring), and name it there"


@dataclass(frozen=True)
class Kind:
    """One reason: the words of apt-get for it, ours, what to do, and the family of the error."""

    pattern: str
    words: str
    hint: str
    family: type[HarnessError] = UnavailableError


_LOST = Kind(
    r"\b404\b|File not found|Failed to stat - |does not have a Release file",
    "the mirror has not got it",
    _MIRROR,
    AbsentError,
)

# The first that fits is meant: apt-get also says what follows from it ("is not signed", of a
# Release file that it could not fetch).
KINDS = (
    Kind(
        r"Could not get lock|Unable to (?:lock directory|acquire the dpkg frontend lock)",
        "another apt-get holds the lock",
        "wait for its end, then run this again",
        InfrastructureError,
    ),
    Kind(
        r"Cannot allocate memory|ran out of room",
        "apt-get has no memory left",
        "end something else, then run this again",
        InfrastructureError,
    ),
    # Permission denied, read-only, Input/output error, is a directory or not one.
    Kind(
        r" - \w+ \((?:1|5|13|20|21|30): ",
        "apt-get cannot read or write a file of this machine",
        "see to that file, and to its disk",
        InfrastructureError,
    ),
    Kind(
        r"Malformed |is not known on line|list of sources could not be read",
        "APT's lists of archives are not right",
        "see to the lists in /etc/apt",
        InfrastructureError,
    ),
    Kind(
        r"method driver .* could not be found",
        "apt-get has no way to such a place",
        "install the package apt-transport-..., or name another mirror in /etc/apt",
        InfrastructureError,
    ),
    Kind(
        r"NO_PUBKEY|BADSIG|EXPKEYSIG|KEYEXPIRED|REVKEYSIG|signatures? (?:couldn't|were invalid)"
        r"|signature verification|GPG error|Clearsigned file isn't valid",
        "the archive's signature is not good",
        _KEY,
        InfrastructureError,
    ),
    # APT 3 has no better word for a wrong digest of what it copies from a disk.
    Kind(
        r"Hash Sum mismatch|has unexpected size|copy:\S+\s+Undetermined Error",
        "what came is not what the archive's signed list says (a wrong digest or size)",
        _TAMPERED,
        InfrastructureError,
    ),
    Kind(
        r"Release file .* is expired",
        "the mirror is too old: its lists were valid until a day that is over",
        "see whether this machine's clock is right, or name another mirror in /etc/apt",
    ),
    Kind(
        r"Release file .* is not valid yet",
        "the mirror's lists are of a time to come",
        "set this machine's clock right",
    ),
    Kind(
        r"failure resolving|Could not resolve|Network is unreachable|No route to host",
        "no network, or no name service",
        _NETWORK,
    ),
    Kind(r"[Cc]ertificate|SSL|TLS", "the mirror's certificate is not accepted", _MIRROR),
    Kind(
        r"timed out|[Tt]imeout|Connection refused|Connection failed|Connection reset"
        r"|[Cc]ould not connect|Unable to connect|closed the connection|closed connection"
        r"|https?:\S+\s+Undetermined Error|Error reading from server|Bad header",
        "the mirror, or the way to it, does not answer",
        _NETWORK,
    ),
    _LOST,
    Kind(r"\b[45]\d\d  \S", "the mirror refuses it", _MIRROR),
    Kind(
        r"Unable to find a source package|Unable to locate package|no installation candidate"
        r"|Can't find a source|Can't select|No candidate|no candidate",
        "the release has no such package",
        "use another release of the distribution",
        AbsentError,
    ),
    # Of lists from which nothing has come, for which apt-get gives no reason here.
    Kind(r"must put some 'deb-src' URIs", "the release's lists could not be had", _MIRROR),
    Kind(
        r"is not signed",
        "the archive is not signed, and not marked as trusted",
        _KEY,
        InfrastructureError,
    ),
)

# What nobody knows is no fault of the network, which others would pass over.
UNKNOWN = Kind("", "apt-get failed", "see to what it said", InfrastructureError)

_PREFIX = re.compile(r"^(?:[EW]: |Err:\d+ )")
_FAILED = re.compile(r"^(?:E: |W: |Err:\d+ |  \S)")
_LONGEST = 200


@dataclass(frozen=True)
class Failure:
    """Why a call failed: the kind, and the line in which apt-get says so (empty: it did not)."""

    kind: Kind
    line: str

    @property
    def words(self) -> str:
        """In one line."""
        return f"{self.kind.words} ({self.line})" if self.line else self.kind.words

    def error(self, what: str, log: object) -> HarnessError:
        """The error of its family: what could not be done, why, and what to do."""
        shown = f"\n  {self.line}" if self.line else ""
        hint = f"{self.kind.hint} (all that apt-get said: {log})"
        return self.kind.family(f"{what}: {self.kind.words}{shown}", hint)


def judge(said: str) -> Failure:
    """Why apt-get failed, by what it said."""
    return _judge([line for line in said.splitlines() if _FAILED.match(line)])


def judge_entry(said: str, entry: Entry) -> Failure:
    """Why an entry of APT's lists could not be fetched, by what apt-get said of them all.

    It says nothing of one that is trusted and has no Release file.
    """
    uri = entry.uri.rstrip("/")
    words = (f"{uri} {entry.suite} ", f"{uri}/dists/{entry.suite}/")
    about: list[str] = []
    taken = False
    for line in said.splitlines():
        # The reason may be in the line below the one with the name.
        taken = taken if line.startswith("  ") else any(word in line for word in words)
        if taken and _FAILED.match(line):
            about.append(line)
    # What is fetched by a list of mirrors is not named by that.
    if not about and entry.uri.startswith("mirror"):
        return judge(said)
    if not about:
        return Failure(_LOST, "")
    failure = _judge(about)
    if failure.kind is UNKNOWN and (of_all := judge(said)).kind is not UNKNOWN:
        # A reason without a name: of apt-get itself, or of this machine.
        return of_all
    return failure


def _judge(lines: Sequence[str]) -> Failure:
    for kind in KINDS:
        # The last words name the file; those that came while it still tried are shorter.
        fit = [line for line in lines if re.search(kind.pattern, line)]
        if fit:
            return Failure(kind, _short(next((x for x in fit if x[0] in "EW"), fit[0])))
    errors = [line for line in lines if line.startswith("E: ")] or list(lines)
    return Failure(UNKNOWN, _short(errors[0]) if errors else "")


def _short(line: str) -> str:
    text = re.sub(r"\s+", " ", _PREFIX.sub("", line)).strip()
    text = re.sub(r" \[IP: [^\]]*\]", "", text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
