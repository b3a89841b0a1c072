# SPDX-License-Identifier: GPL-2.0-only
"""A room has the host's ways to the network, and nothing else of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.fresh import takeover


def pem(body: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"


def test_environment_has_proxies_pip_and_certificates() -> None:
    host = {
        "http_proxy": "http://p",
        "NO_PROXY": "localhost",
        "PIP_INDEX_URL": "https://i",
        "PIP_CACHE_DIR": "/home/me/cache",
        "SSL_CERT_FILE": "/c.pem",
        "HOME": "/home/me",
        "PATH": "/bin",
        "CROSS_COMPILE": "x",
        "DIVERT_CACHE": "/c",
    }
    assert set(takeover.environment(host)) == {
        *("http_proxy", "NO_PROXY", "PIP_INDEX_URL", "SSL_CERT_FILE"),
    }


def test_certificates_that_came_with_no_package() -> None:
    bundle = pem("AAAA\nBBBB") + pem("own") + pem("CCCC")
    assert takeover.own_certificates(bundle, ["# x\n" + pem("AAAABBBB"), pem("CCCC")]) == [
        pem("own").rstrip()
    ]
    assert takeover.own_certificates("", []) == []


def test_paths_that_configuration_of_pip_names(tmp_path: Path) -> None:
    index, constraints = tmp_path / "index/simple", tmp_path / "constraints.txt"
    index.mkdir(parents=True)
    constraints.touch()
    text = f"""
    [global]
    extra-index-url = https://example.org{index} file://{index} file:///no/such/folder
    constraint={constraints}
    """
    assert takeover.named_paths([text]) == sorted([index, constraints])
    assert takeover.named_paths([f"https://example.org{index}"]) == []
    assert takeover.named_paths([str(index)]) == [index]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a host's files in it, which has no others."""
    folder = tmp_path / "host"
    folder.mkdir()
    for name in ("BUNDLE", "PACKAGED", "_DPKG_INFO"):
        monkeypatch.setattr(takeover, name, folder / name)
    monkeypatch.setattr(takeover, "_FILES", ())
    monkeypatch.setattr(Path, "home", lambda: folder / "me")
    monkeypatch.setattr(takeover, "_APT_FOLDER", folder / "apt")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    return folder


def test_room_has_pip_s_configuration_and_a_local_index_with_what_is_beside_it(
    host: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host / "me/.config/pip").mkdir(parents=True)
    index = host / "pypi/simple"
    index.mkdir(parents=True)
    (host / "constraints.txt").write_text("x<1\n")
    text = f"[global]\nindex-url = file://{index}\nconstraint = {host}/constraints.txt\n"
    (host / "me/.config/pip/pip.conf").write_text(text)
    root = tmp_path / "root"
    (root / "home/newcomer").mkdir(parents=True)
    assert takeover.copy(root, root / "home/newcomer") == [index.parent]
    copied = root / "home/newcomer/.config/pip/pip.conf"
    assert copied.read_text() == text
    assert copied.stat().st_mode & 0o777 == 0o644
    inside = root / str(host)[1:] / "constraints.txt"
    assert inside.read_text() == "x<1\n"


def test_room_has_those_of_apt_s_snippets_that_came_with_no_package(
    host: Path, tmp_path: Path
) -> None:
    (host / "_DPKG_INFO").mkdir()
    snippets = host / "apt/apt.conf.d"
    snippets.mkdir(parents=True)
    (snippets / "20packagekit").write_text("hooks\n")
    (snippets / "99proxy").write_text('Acquire::http::Proxy "http://p";\n')
    (host / "_DPKG_INFO/packagekit.list").write_text(f"/.\n{snippets}/20packagekit\n")
    root = tmp_path / "root"
    theirs = root / "etc/apt/apt.conf.d"
    theirs.mkdir(parents=True)
    (theirs / "99mmdebstrap").touch()
    takeover.copy(root, root / "root")
    assert [path.name for path in theirs.iterdir()] == ["99proxy"]


def test_room_has_the_host_s_certificates_before_and_after_ca_certificates_is_there(
    host: Path, tmp_path: Path
) -> None:
    (host / "PACKAGED").mkdir()
    (host / "PACKAGED/a.crt").write_text(pem("AAAA"))
    (host / "BUNDLE").write_text(pem("AAAA") + pem("own"))
    root = tmp_path / "root"
    takeover.copy(root, root / "root")
    own = root / takeover.OWN_CERTIFICATES / "host-0.crt"
    assert own.read_text() == pem("own")
