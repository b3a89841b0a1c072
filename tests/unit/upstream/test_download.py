# SPDX-License-Identifier: GPL-2.0-only
"""Downloads from a server on 127.0.0.1: whole and verified, or not there at all."""

from __future__ import annotations

import errno
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.base.errors import InfrastructureError, MissingSourceError, UserError
from harness.upstream import download, sources
from tests.unit.support.toy import NAME, Release, pack, release

__all__ = ["release"]

DATA = bytes(range(256)) * 2000


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves `files`; what a path begins with says how it misbehaves."""

    files: dict[str, bytes]
    stop: threading.Event

    def do_GET(self) -> None:
        kind, _, name = self.path.lstrip("/").partition("/")
        data = self.files.get(name)
        if kind == "silent":
            self.stop.wait(30)
            return
        if data is None or kind == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if kind in {"cut", "stall"} else data)
        if kind == "stall":
            self.wfile.flush()
            self.stop.wait(30)

    def log_message(self, *_args: object) -> None:
        """Nothing: pytest's output is for failures."""


class Server:
    """An HTTP server of the test's own."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.stop = threading.Event()
        handler = type("Handler", (_Handler,), {"files": self.files, "stop": self.stop})
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )
        self._thread.start()

    def place(self, kind: str) -> str:
        """A folder on the server that behaves as `kind` says."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{kind}/"

    def close(self) -> None:
        """End it, and every request that hangs."""
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    """A server with one file."""
    running = Server()
    running.files["file.tar.gz"] = DATA
    yield running
    running.close()


def _accept(_path: Path) -> None:
    """Content with anything."""


def test_whole(server: Server, tmp_path: Path) -> None:
    seen: list[str] = []

    def verify(path: Path) -> None:
        seen.append(path.name)
        assert path.read_bytes() == DATA

    target = download.fetch([server.place("good") + "file.tar.gz"], tmp_path / "new", verify)
    assert target == tmp_path / "new" / "file.tar.gz"
    assert target.read_bytes() == DATA
    assert seen == ["file.tar.gz.part"]
    assert [path.name for path in target.parent.iterdir()] == ["file.tar.gz"]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("cut", "broke off after 256,000 of 512,000 bytes"),
        ("stall", "nothing more came"),
        ("missing", "HTTP status 404"),
    ],
)
def test_broken_off(server: Server, tmp_path: Path, kind: str, says: str) -> None:
    urls = [server.place(kind) + "file.tar.gz"]
    with pytest.raises(download.DownloadError, match=says):
        download.fetch(urls, tmp_path, _accept, stall_seconds=0.5)
    assert list(tmp_path.iterdir()) == []


def test_the_next_place_is_tried(server: Server, tmp_path: Path) -> None:
    kinds = ("missing", "cut", "good")
    urls = [server.place(kind) + "file.tar.gz" for kind in kinds]
    assert download.fetch(urls, tmp_path, _accept).read_bytes() == DATA


def test_what_is_not_verified_is_not_kept(server: Server, tmp_path: Path) -> None:
    def refuse(_path: Path) -> None:
        raise UserError("another version")

    with pytest.raises(download.DownloadError, match="another version"):
        download.fetch([server.place("good") + "file.tar.gz"], tmp_path, refuse)
    assert list(tmp_path.iterdir()) == []


def test_interrupted(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other.tar.gz").write_text("downloaded before")

    def interrupt(_path: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.fetch([server.place("good") + "file.tar.gz"], tmp_path, interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["other.tar.gz"]


def test_no_answer_in_time(server: Server, tmp_path: Path) -> None:
    urls = [server.place("silent") + "file.tar.gz", "http://127.0.0.1:1/file.tar.gz"]
    begin = time.monotonic()
    with pytest.raises(download.DownloadError) as caught:
        download.fetch(urls, tmp_path, _accept, connect_seconds=0.5)
    assert time.monotonic() - begin < 5
    assert "no answer within" in caught.value.message
    assert "127.0.0.1:1: not tried" in caught.value.message


@pytest.mark.slow
def test_a_silent_place_leaves_time_for_the_next(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LEAST_SECONDS", 0.0)
    other = server.place("good").replace("127.0.0.1", "localhost")
    urls = [server.place("silent") + "file.tar.gz", other + "file.tar.gz"]
    assert download.fetch(urls, tmp_path, _accept, connect_seconds=4).read_bytes() == DATA


def test_every_place_is_in_the_error_once(server: Server, tmp_path: Path) -> None:
    names = ("a.tar.xz", "a.tar.gz")
    places = (server.place("missing"), "http://127.0.0.1:1/x/")
    with pytest.raises(download.DownloadError) as caught:
        download.fetch([place + name for place in places for name in names], tmp_path, _accept)
    assert caught.value.message.splitlines() == [
        f"{places[0]}: HTTP status 404 Not Found (a.tar.xz, a.tar.gz)",
        "127.0.0.1:1: Connection refused",
    ]


def test_what_cannot_be_it_is_not_taken_in(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LARGEST", len(DATA) - 1)
    with pytest.raises(download.DownloadError, match="larger than 511,999 bytes"):
        download.fetch([server.place("good") + "file.tar.gz"], tmp_path, _accept)
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_refuses_is_asked_once(tmp_path: Path) -> None:
    urls = ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b"]
    with pytest.raises(download.DownloadError) as caught:
        download.fetch(urls, tmp_path, _accept)
    assert caught.value.message == "127.0.0.1:1: Connection refused"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIVERT_DOWNLOADS", str(tmp_path))
    (tmp_path / "file.tar.gz.part").symlink_to("/dev/full")
    with pytest.raises(InfrastructureError) as caught:
        download.fetch([server.place("good") + "file.tar.gz"], tmp_path, _accept)
    assert not isinstance(caught.value, download.DownloadError)
    cause = caught.value.__cause__
    assert isinstance(cause, OSError)
    assert cause.errno == errno.ENOSPC
    assert "DIVERT_DOWNLOADS" in caught.value.hint


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="Not a directory") as caught:
        download.fetch(["http://127.0.0.1:1/a"], tmp_path / "file" / "folder", _accept)
    assert "DIVERT_DOWNLOADS" in caught.value.hint


def test_a_source_is_downloaded(
    server: Server, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = pack(release.root / f"{NAME}.tar.bz2")
    server.files[archive.name] = archive.read_bytes()
    release.describe(places=[server.place("missing"), server.place("good")])
    verified = sources.obtain(NAME)
    assert verified.origin == release.downloads / archive.name
    assert "downloading it" in capsys.readouterr().err
    sources.obtain(NAME)
    assert capsys.readouterr().err == ""


def test_a_source_that_is_another_version_is_not_kept(server: Server, release: Release) -> None:
    archive = pack(release.root / f"{NAME}.tar.gz", {"Makefile": "VERSION = 9\n"})
    server.files[archive.name] = archive.read_bytes()
    release.describe(places=[server.place("good")])
    with pytest.raises(MissingSourceError, match="is something else"):
        sources.obtain(NAME)
    assert list(release.downloads.iterdir()) == []
