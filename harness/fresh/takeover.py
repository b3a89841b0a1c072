# SPDX-License-Identifier: GPL-2.0-only
"""What a room takes over from the host, as any machine here would have it: the ways to the network.

Certificates, proxies, names, and how pip and APT are told to fetch. Nothing that is ours.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# Where certificates are that came with packages.
PACKAGED = Path("/usr/share/ca-certificates")
# Where update-ca-certificates takes a machine's own from.
OWN_CERTIFICATES = "usr/local/share/ca-certificates"

_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/xdg/pip/pip.conf")
_USER_FILES = (".config/pip/pip.conf", ".pip/pip.conf")
_APT = ("apt.conf", "apt.conf.d", "auth.conf", "auth.conf.d")
_APT_FOLDER = Path("/etc/apt")
_DPKG_INFO = Path("/var/lib/dpkg/info")

_NAMES = {
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
}
# Of pip's, those that name a folder to write to are the host's alone.
_NOT = {"PIP_CACHE_DIR", "PIP_LOG", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_SRC"}
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_LOCAL = re.compile(r"(?:(?<=file://)|(?<![^\s=,]))(/[^\s,;\"']+)")


def environment(host: Mapping[str, str]) -> dict[str, str]:
    """Of the host's environment, what tells programs the way to the network (pure)."""
    return {
        name: value
        for name, value in host.items()
        if name not in _NOT
        and (name in _NAMES or name.startswith("PIP_") or name.lower().endswith("_proxy"))
    }


def own_certificates(bundle: str, packaged: Iterable[str]) -> list[str]:
    """Certificates of a bundle that are none of the packaged ones (pure)."""
    known = {_squeezed(found) for text in packaged for found in _PEM.findall(text)}
    return [found for found in _PEM.findall(bundle) if _squeezed(found) not in known]


def _squeezed(certificate: str) -> str:
    return "".join(certificate.split())


def named_paths(texts: Iterable[str]) -> list[Path]:
    """Files and folders of this host that configuration of pip names: constraints, local indexes.

    An address of the network is none, whatever its path is.
    """
    found = {Path(word) for text in texts for word in _LOCAL.findall(text)}
    return sorted(path for path in found if path.exists())


def copy(root: Path, home: Path) -> list[Path]:
    """Give the system below `root` all of it; `home` is a folder there, of the user who works.

    Gives the folders that pip's configuration names, which have to be seen there as well.
    """
    texts = [value for name, value in os.environ.items() if name.startswith("PIP_")]
    for name in _FILES:
        texts += _copied(Path(name), root / name[1:])
    for name in _USER_FILES:
        texts += _copied(Path.home() / name, home / name)
    _copy_certificates(root)
    _copy_apt(root)
    folders = []
    for path in named_paths(texts):
        target = root / path.relative_to("/")
        if path.is_dir() and not target.exists():
            # The pages of a local index name files beside it. No folder of the top, as /opt.
            alone = target.parent.exists() or len(path.parts) < 4
            folders.append(path if alone else path.parent)
        elif path.is_file() and not target.exists():
            _write(target, path.read_bytes())
    return sorted(set(folders))


def _copied(source: Path, target: Path) -> list[str]:
    if not source.is_file():
        return []
    _write(target, source.read_bytes())
    return [source.read_text(errors="replace")]


def _write(target: Path, content: bytes) -> None:
    """For everybody to read, whatever our umask is."""
    for folder in reversed([each for each in target.parents if not each.exists()]):
        folder.mkdir()
        folder.chmod(0o755)
    target.unlink(missing_ok=True)
    target.write_bytes(content)
    target.chmod(0o644)


def _copy_certificates(root: Path) -> None:
    """As files that update-ca-certificates adds, and in the bundle, if the system has one yet."""
    if not BUNDLE.is_file():
        return
    text = BUNDLE.read_text(errors="replace")
    known = (path.read_text(errors="replace") for path in PACKAGED.rglob("*.crt"))
    for number, certificate in enumerate(own_certificates(text, known)):
        _write(root / OWN_CERTIFICATES / f"host-{number}.crt", f"{certificate}\n".encode())
    bundle = root / BUNDLE.relative_to("/")
    if bundle.exists():
        _write(bundle, BUNDLE.read_bytes())


def _copy_apt(root: Path) -> None:
    """What somebody has configured: of the snippets, those that came with no package."""
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    owned = packaged_files(_DPKG_INFO)
    for name in _APT:
        place = _APT_FOLDER / name
        files: Sequence[Path] = sorted(place.iterdir()) if place.is_dir() else [place]
        for path in files:
            if path.is_file() and str(path) not in owned:
                target = root / "etc/apt" / path.relative_to(_APT_FOLDER)
                _write(target, path.read_bytes())
                shutil.copymode(path, target)


def packaged_files(info: Path) -> set[str]:
    """APT's snippets that came with packages, by dpkg's lists."""
    return {
        line
        for path in info.glob("*.list")
        for line in path.read_text(errors="replace").splitlines()
        if line.startswith(f"{_APT_FOLDER}/")
    }
