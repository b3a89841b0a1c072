# SPDX-License-Identifier: GPL-2.0-only
"""The module for all of Debian's kernels: which are tried, and what is told of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.errors import HarnessError, InfrastructureError, UnavailableError, UserError
from harness.debian import packages
from harness.debian.hostrelease import Release
from harness.kernel import debiankernel, module
from harness.kernel.debiankernel import Headers
from harness.kernel.module import Module
from harness.matrix import suites
from harness.matrix.kernels import Kernel
from harness.release import modules

ERRORS: dict[str, HarnessError] = {
    "linux-7.3": UnavailableError("no network"),
    "linux-7.2-rt": InfrastructureError("sock.c:1: error: x"),
}


@pytest.fixture(name="toy")
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bookworm host on which two kernels' modules do not build."""

    def headers(kernel: Kernel) -> Headers:
        if isinstance(error := ERRORS.get(kernel.name), UnavailableError):
            raise error
        return Headers(f"{kernel.series}.0-amd64", Path(kernel.name), kernel.name, 0.0)

    def build(headers: Headers) -> Module:
        if error := ERRORS.get(headers.fingerprint):
            raise error
        return Module(Path("divert.ko"), "print", 0.0, headers.fingerprint == "linux-6.1")

    known = suites.load().suites
    monkeypatch.setattr(packages, "host_release", lambda: Release("debian", "12", "bookworm"))
    monkeypatch.setattr(debiankernel, "headers", headers)
    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(packages, "listed", lambda _name, _kind, suite: known[suite])


def test_those_of_a_host_are_of_its_release_and_what_it_tests() -> None:
    rows = modules.every()
    names = [row.name for row in modules.of_host(rows, "bookworm")]
    series = ("linux-6.1", "linux-6.12")
    assert sorted(names) == sorted(
        f"{name}{part}" for name in series for part in ("", "-cloud", "-rt")
    )
    names = [row.name for row in modules.of_host(rows, "trixie")]
    assert {"linux-6.1", "linux-6.12", "linux-6.12-rt", "linux-7.3", "linux-7.3-rt"} <= set(names)
    assert not {"linux-6.1-rt", "linux-7.2"} & set(names)
    # One that is built here has no package of headers.
    assert "linux-6.1-debug" not in {row.name for row in rows}


@pytest.mark.usefixtures("toy")
def test_each_kernel_is_a_row_and_what_fails_stops_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(InfrastructureError) as caught:
        modules.report(None)
    assert caught.value.message.splitlines() == [
        "linux-7.3: no network",
        "linux-7.2-rt: sock.c:1: error: x",
    ]
    said = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line}
    assert said["linux-6.1"][1] == "6.1.0-amd64"
    assert said["linux-6.1"][-1] == "(before)"
    assert said["linux-7.2-sid-rt"][-1] == "built"
    assert said["linux-7.2-rt"][-2:] == ["NOT", "BUILT"]
    assert said["linux-7.3"][-2:] == ["NOT", "BUILT"]


@pytest.mark.usefixtures("toy")
def test_only_kernels_that_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    modules.report("linux-6.1,linux-6.12-rt")
    said = capsys.readouterr().out
    assert "linux-6.12-rt" in said
    assert "linux-7" not in said
    for name, says in (("linux-2.2.12", "no kernel of Debian's"), ("linux-9", "no kernel linux-9")):
        with pytest.raises(UserError, match=says):
            modules.report(name)
