# SPDX-License-Identifier: GPL-2.0-only
"""One file from the network: to a temporary name, verified, and only then renamed."""

from __future__ import annotations

import http.client
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness import terminal
from harness.deadline import Deadline
from harness.errors import HarnessError, InfrastructureError

# Until some place answers, for all of them together; and until the next bytes, once one has.
CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
# An archive is 15 MB: this is a line of 8 kbit/s.
TOTAL_SECONDS = 4 * 3600.0

CHUNK = 1 << 16
_MB = 1e6


class DownloadError(InfrastructureError):
    """No place gave the file. The message has the reason for each place, a line each."""


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
    reasons: list[str] = []
    dead_hosts: set[str] = set()
    for url in urls:
        host = urlsplit(url).netloc
        if host in dead_hosts:
            continue
        if deadline.expired:
            reasons.append(f"{host}: not tried, {connect_seconds:g} s were over")
            continue
        target = folder / url.rsplit("/", 1)[-1]
        part = target.with_name(target.name + ".part")
        try:
            with _open(url, deadline.remaining, stall_seconds) as response:
                _save(response, part, target.name, host)
            verify(part)
            part.rename(target)
        except urllib.error.HTTPError as error:
            reasons.append(f"{url}: HTTP status {error.code} {error.reason}")
        except _NoAnswerError as error:
            dead_hosts.add(host)
            reasons.append(f"{host}: {error}")
        except _BrokenOffError as error:
            reasons.append(f"{url}: {error}")
        except HarnessError as error:
            reasons.append(f"{url}: {error.message}")
        except OSError as error:
            raise _unwritable(part, error) from error
        else:
            return target
        finally:
            part.unlink(missing_ok=True)
    raise DownloadError("\n".join(reasons))


def _unwritable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"cannot write {path}: {error.strerror or error}",
        "make room there, or move the folder: DIVERT_DOWNLOADS=FOLDER",
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
    threading.Thread(target=ask, daemon=True).start()
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
