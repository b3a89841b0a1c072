# SPDX-License-Identifier: GPL-2.0-only
"""One file from the network: to a temporary name, verified, and only then renamed."""

from __future__ import annotations

import http.client
import queue
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.base import diskroom, oserrors, terminal
from harness.base.background import Background
from harness.base.deadline import Deadline
from harness.base.errors import HarnessError, InfrastructureError

# Until some place answers, for all of them together; for one of them at least, so that one that is
# silent leaves time for the others; and until the next bytes, once one has answered.
CONNECT_SECONDS = 15.0
LEAST_SECONDS = 3.0
STALL_SECONDS = 30.0
# An archive is 15 MB: this is a line of 8 kbit/s.
TOTAL_SECONDS = 4 * 3600.0
# A place may be somebody else's by now, and send what it likes for as long as it likes.
LARGEST = 128 << 20

CHUNK = 1 << 16
_MB = 1e6


class DownloadError(InfrastructureError):
    """No place gave the file. The message has every place that was tried, and why it did not."""


def fetch(
    urls: Sequence[str],
    folder: Path,
    verify: Callable[[Path], None],
    *,
    connect_seconds: float = CONNECT_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> Path:
    """Download from the first of `urls` that gives a file with which `verify` is content.

    The file is written into `folder` under its name with `.part` added, given to `verify`, and
    renamed if that raises no HarnessError. No `.part` is left behind, on Ctrl-C neither.

    Raises DownloadError if no URL gave the file, at the latest `connect_seconds` after the start if
    none answers; InfrastructureError if the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    deadline = Deadline(connect_seconds, "answer from any download place")
    reasons = _Reasons()
    dead_hosts: set[str] = set()
    for number, url in enumerate(urls):
        host = urlsplit(url).netloc
        if host in dead_hosts:
            continue
        if deadline.expired:
            reasons.add(host, "", f"not tried, {connect_seconds:g} s were over")
            dead_hosts.add(host)
            continue
        waiting = {urlsplit(later).netloc for later in urls[number:]} - dead_hosts
        seconds = min(deadline.remaining, max(deadline.remaining / len(waiting), LEAST_SECONDS))
        place, _, name = url.rpartition("/")
        target = folder / name
        part = target.with_name(target.name + ".part")
        try:
            with _open(url, seconds, stall_seconds) as response:
                _save(response, part, target.name, host)
            verify(part)
            part.rename(target)
        except urllib.error.HTTPError as error:
            reasons.add(f"{place}/", name, f"HTTP status {error.code} {error.reason}")
        except _NoAnswerError as error:
            dead_hosts.add(host)
            reasons.add(host, "", str(error))
        except _BrokenOffError as error:
            reasons.add(f"{place}/", name, str(error))
        except HarnessError as error:
            reasons.add(f"{place}/", name, error.message)
        except OSError as error:
            raise _unwritable(part, error) from error
        else:
            return target
        finally:
            part.unlink(missing_ok=True)
    raise DownloadError(reasons.text())


class _Reasons:
    """Why each place did not give the file: one line for all of its files that failed alike."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], list[str]] = {}

    def add(self, place: str, name: str, reason: str) -> None:
        self._names.setdefault((place, reason), []).append(name)

    def text(self) -> str:
        lines = []
        for (place, reason), (first, *more) in self._names.items():
            of_all = f" ({', '.join((first, *more))})" if more else ""
            lines.append(f"{place}{'' if more else first}: {reason}{of_all}")
        return "\n".join(lines)


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    if error.errno in diskroom.ERRNOS:
        return diskroom.FullError(f"cannot write {path}", path)
    return InfrastructureError(
        f"cannot write {oserrors.shown(path)}: {error.strerror or error}",
        oserrors.way_out(error, path, "move the folder: DIVERT_DOWNLOADS=FOLDER"),
    )


class _NoAnswerError(Exception):
    """The host could not be reached, or said nothing in time."""


class _BrokenOffError(Exception):
    """The connection ended, or went silent, before the file was whole."""


def _open(url: str, seconds: float, stall_seconds: float) -> Any:
    """The response to a GET, within `seconds`, which bound looking up the name too."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=stall_seconds))  # noqa: S310
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error)

    # A thread, since the look-up of a name cannot be given a deadline.
    Background(ask, name=f"download of {url}")
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise _NoAnswerError(f"no answer within {seconds:.0f} s") from None
    if isinstance(answer, urllib.error.HTTPError):
        raise answer
    if isinstance(answer, Exception):
        reason = getattr(answer, "reason", answer)
        raise _NoAnswerError(getattr(reason, "strerror", None) or str(reason))
    return answer


def _save(response: Any, part: Path, name: str, host: str) -> None:
    length = int(response.headers.get("Content-Length") or 0)
    deadline = Deadline(TOTAL_SECONDS, f"end of the download of {name}")
    whole = f" of {length / _MB:.1f}" if length else ""
    with (
        part.open("wb") as out,
        terminal.activity(f"downloading {name} from {host}", said=False) as doing,
    ):
        received = 0
        while chunk := _read(response, received):
            out.write(chunk)
            received += len(chunk)
            if received > LARGEST:
                raise _BrokenOffError(f"larger than {LARGEST:,} bytes, which it is not")
            doing.detail = f"{received / _MB:.1f}{whole} MB"
            deadline.check()
    if received < length:
        raise _BrokenOffError(f"broke off after {received:,} of {length:,} bytes")


def _read(response: Any, received: int) -> bytes:
    try:
        data: bytes = response.read(CHUNK)
    except TimeoutError as error:
        raise _BrokenOffError(f"nothing more came after {received:,} bytes") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenOffError(f"broke off after {received:,} bytes: {error}") from error
    return data
