# SPDX-License-Identifier: GPL-2.0-only
"""What comes before the tests: a session for each variant that can be had, NOT RUN for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from harness.base.errors import (
    GuestError,
    HarnessError,
    InfrastructureError,
    MissingSourceError,
    NoRoomError,
    UnavailableError,
    UserError,
)
from harness.debian import packages
from harness.debian.hostrelease import Release
from harness.image import image
from harness.kernel import debiankernel, kernel, module
from harness.kernel.debiankernel import Distributed
from harness.matrix import kernels, variants
from harness.matrix.kernels import Kernel
from harness.record.events import (
    Event,
    GuestBooted,
    ImageBuilt,
    KernelBuilt,
    NotBuilt,
    NotRun,
    RunFinished,
    RunStarted,
    SessionFinished,
    SourceMissing,
    TestFinished,
    TestsCollected,
    TestsOwed,
    VariantSelected,
)
from harness.report import exitstatus
from harness.report.verdict import Verdict, judge
from harness.run import preparation
from harness.run.request import Request, required
from harness.run.worker import WorkerSpec
from tests.unit.support.toybuilds import Builds, archives

MODERN, NEWER = "linux-6.1", "linux-6.12"
IPCHAINS = "ipchains-1.3.9"
UNAVAILABLE = UnavailableError("no package for this host", "use another host")

# A path that every host has; nothing reads it.
GIVEN = "linux-2.2.12=/"


@pytest.fixture(name="builds", autouse=True)
def _builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builds:
    return Builds(tmp_path, monkeypatch)


@pytest.fixture(name="upstream")
def _upstream(builds: Builds) -> None:
    """What of upstream is not given was downloaded before."""
    archives("ipchains-1.3.9.tar.gz")


def of(*names: str) -> Request:
    known = variants.load()
    return Request(
        tuple(known[name] for name in names),
        seed=5,
        keep=True,
        given=(GIVEN,),
        modules=("test_a.py",),
    )


def prepared(
    request: Request, folder: Path = Path("/runs/1")
) -> tuple[list[WorkerSpec], list[Event]]:
    told: list[Event] = []
    return preparation.prepare(request, folder, told.append), told


def not_run(events: Sequence[Event]) -> list[tuple[str, str]]:
    return [(event.kernel, event.reason) for event in events if isinstance(event, NotRun)]


def missing(events: Sequence[Event]) -> list[str]:
    return [event.name for event in events if isinstance(event, SourceMissing)]


def cannot_be_had(
    builds: Builds, monkeypatch: pytest.MonkeyPatch, name: str, error: HarnessError
) -> None:
    """From now on the package of a kernel raises this."""

    def obtain(row: Kernel) -> Distributed:
        if row.name == name:
            raise error
        return builds.obtain(row)

    monkeypatch.setattr(debiankernel, "obtain", obtain)


@pytest.mark.usefixtures("upstream")
def test_session_for_each_variant(builds: Builds) -> None:
    specs, events = prepared(of("off", f"{MODERN}:base"))
    off, base = specs
    here = builds.here
    assert off == WorkerSpec(
        variant="off",
        has=off.has,
        folder="/runs/1/off",
        events="",
        seed=5,
        keep=True,
        bzimage=f"{here}/off/bzImage",
        objects=f"{here}/off/objects",
        initrd=f"{here}/ext2.gz",
        private_key=str(here),
        host_key=str(here),
        given=(GIVEN,),
        modules=("test_a.py",),
        kernel=kernels.REFERENCE,
        row="off",
    )
    assert (base.variant, base.kernel) == (f"{MODERN}:base", MODERN)
    assert (base.bzimage, base.objects) == (f"{here}/vmlinuz", "")
    assert base.folder == f"/runs/1/{MODERN}:base"
    assert Path(base.initrd).is_file()
    assert Path(base.private_key).is_file()
    assert [type(event) for event in events] == [
        *(VariantSelected, TestsOwed, VariantSelected, TestsOwed),
        *(ImageBuilt, KernelBuilt),
        *(ImageBuilt, KernelBuilt),
    ]


@pytest.mark.usefixtures("upstream")
def test_only_what_is_asked_for_is_built(builds: Builds) -> None:
    prepared(of(f"{NEWER}:stock"))
    assert builds.asked == ["userland linux-2.2.12=/", f"package {NEWER}"]


@pytest.mark.usefixtures("upstream")
def test_guests_programs_are_built_once_a_kernel(builds: Builds) -> None:
    specs, events = prepared(of("stock", "base", f"{MODERN}:stock", f"{MODERN}:base"))
    assert [spec.variant for spec in specs] == [
        "stock",
        "base",
        f"{MODERN}:stock",
        f"{MODERN}:base",
    ]
    assert [name for name in builds.asked if name.startswith(("image", "userland"))] == [
        "image linux-2.2.12=/",
        "userland linux-2.2.12=/",
    ]
    assert [event.variant for event in events if isinstance(event, KernelBuilt)] == [
        spec.variant for spec in specs
    ]


@pytest.mark.usefixtures("upstream")
def test_sessions_have_what_the_report_is_told(builds: Builds) -> None:
    specs, events = prepared(of("off", "base", f"{MODERN}:stock", f"{MODERN}:defrag"))
    selected = {event.variant: event for event in events if isinstance(event, VariantSelected)}
    assert {spec.variant: (spec.has, spec.kernel) for spec in specs} == {
        name: (event.has, event.kernel) for name, event in selected.items()
    }
    assert "ipchains" in selected["off"].has
    assert {"patched", "divert"} & set(selected["off"].has) == {"patched"}
    assert {"divert", "chains", "defrag"} <= set(selected[f"{MODERN}:defrag"].has)
    assert {"divert", "chains"}.isdisjoint(selected[f"{MODERN}:stock"].has)


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("absent", [MODERN, NEWER])
def test_kernel_that_cannot_be_had_is_not_run_and_never_another(
    absent: str, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_be_had(builds, monkeypatch, absent, UNAVAILABLE)
    asked = of("base", f"{MODERN}:stock", f"{MODERN}:base", f"{NEWER}:stock", f"{NEWER}:base")
    specs, events = prepared(asked)
    assert not_run(events) == [(absent, "no package for this host\nuse another host")]
    assert [spec.variant for spec in specs] == [
        row.name for row in asked.variants if row.kernel != absent
    ]
    for spec in specs:
        assert spec.kernel == variants.named(spec.variant).kernel
    # The report still knows what the variants were that did not run.
    assert [event.variant for event in events if isinstance(event, VariantSelected)] == [
        row.name for row in asked.variants
    ]


@pytest.mark.usefixtures("upstream")
def test_no_kernel_at_all(builds: Builds, monkeypatch: pytest.MonkeyPatch) -> None:
    cannot_be_had(builds, monkeypatch, MODERN, UNAVAILABLE)
    specs, events = prepared(of(f"{MODERN}:base"))
    assert specs == []
    assert [name for name, _ in not_run(events)] == [MODERN]


@pytest.mark.usefixtures("upstream")
def test_kernel_is_tested_whole_or_not_at_all(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be had for its first variant only makes no verdict on that kernel."""
    times: list[str] = []

    def obtain(row: Kernel) -> Distributed:
        times.append(row.name)
        if len(times) > 1:
            raise UNAVAILABLE
        return builds.obtain(row)

    monkeypatch.setattr(debiankernel, "obtain", obtain)
    specs, events = prepared(of("off", f"{MODERN}:stock", f"{MODERN}:base"))
    assert [spec.variant for spec in specs] == ["off"]
    assert [name for name, _ in not_run(events)] == [MODERN]


def test_without_upstreams_archives(builds: Builds) -> None:
    specs, events = prepared(replace(of("off", "base", f"{MODERN}:base"), given=()))
    assert [spec.variant for spec in specs] == [f"{MODERN}:base"]
    ((kernel, reason),) = not_run(events)
    assert kernel == kernels.REFERENCE
    for what in ("Linux 2.2.12 is not", "--source linux-2.2.12=PATH"):
        assert what in reason
    # All that is missing is told at once, so that nobody has to come back twice.
    assert missing(events) == ["linux-2.2.12", IPCHAINS]
    # Nothing of the reference is built, and the other kernel has our own program for ipchains.
    assert builds.asked[0] == f"userland without linux-2.2.12 without {IPCHAINS}"
    assert not {"ipchains", "reference-headers"} & set(specs[0].has)
    assert specs[0].lacks == {"ipchains": IPCHAINS, "reference-headers": "linux-2.2.12"}
    assert "ipchains" in kernels.named(MODERN).features
    for event in events:
        if isinstance(event, VariantSelected):
            assert "ipchains" not in event.has


def test_without_ipchains_the_reference_is_tested_all_the_same(builds: Builds) -> None:
    specs, events = prepared(of("off", f"{MODERN}:base"))
    assert [spec.variant for spec in specs] == ["off", f"{MODERN}:base"]
    assert not not_run(events)
    assert missing(events) == [IPCHAINS]
    for spec in specs:
        assert spec.lacks == {"ipchains": IPCHAINS}
        assert "ipchains" not in spec.has
        assert "reference-headers" in spec.has
    assert builds.asked[0] == f"image without {IPCHAINS} {GIVEN}"
    assert f"userland without {IPCHAINS} {GIVEN}" in builds.asked


@pytest.mark.usefixtures("upstream")
def test_without_the_kernel_alone_the_others_have_the_real_ipchains(builds: Builds) -> None:
    specs, events = prepared(replace(of("base", f"{MODERN}:base"), given=()))
    assert [kernel for kernel, _ in not_run(events)] == [kernels.REFERENCE]
    (spec,) = specs
    assert "ipchains" in spec.has
    assert spec.lacks == {"reference-headers": "linux-2.2.12"}
    assert builds.asked[0] == "userland without linux-2.2.12"


def breaks(monkeypatch: pytest.MonkeyPatch, what: ModuleType, name: str, *words: str) -> None:
    """From now on a build of `what` breaks, of all or of those whose argument has these words."""
    build = getattr(what, name)

    def broken(*args: object, **options: object) -> object:
        if not words or any(word in repr(args) for word in words):
            raise InfrastructureError("x.c:1: error", "all of the log: there")
        return build(*args, **options)

    monkeypatch.setattr(what, name, broken)


def not_built(events: Sequence[Event]) -> list[tuple[str, tuple[str, ...]]]:
    return [(event.name, event.variants) for event in events if isinstance(event, NotBuilt)]


@pytest.mark.usefixtures("upstream")
def test_variant_that_does_not_build_takes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch, kernel, "build", "Variant(name='base'")
    breaks(monkeypatch, module, "build")
    specs, events = prepared(of("off", "base", "defrag", f"{MODERN}:stock", f"{MODERN}:base"))
    assert [spec.variant for spec in specs] == ["off", "defrag", f"{MODERN}:stock"]
    assert not_built(events) == [("base", ("base",)), (f"{MODERN}:base", (f"{MODERN}:base",))]
    (reason,) = {event.reason for event in events if isinstance(event, NotBuilt)}
    assert reason == "x.c:1: error\nall of the log: there"
    assert not not_run(events)


@pytest.mark.usefixtures("upstream")
def test_image_that_does_not_build_takes_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch, image, "build")
    specs, events = prepared(of("off", "base", f"{MODERN}:stock"))
    assert [spec.variant for spec in specs] == [f"{MODERN}:stock"]
    assert not_built(events) == [(kernels.REFERENCE, ("off", "base"))]
    of_run = verdict(of("off", "base", f"{MODERN}:stock"))
    assert (of_run.passed, of_run.reasons, of_run.word) == (False, (), "NOT BUILT")
    with pytest.raises(InfrastructureError) as caught:
        exitstatus.raise_for(of_run)
    assert type(caught.value) is InfrastructureError


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize(
    "error", [UserError("there is no source x"), GuestError("the guest panicked")]
)
def test_any_other_error_ends_the_run(
    error: HarnessError, builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_be_had(builds, monkeypatch, MODERN, error)
    told: list[Event] = []
    with pytest.raises(type(error)) as caught:
        preparation.prepare(of("off", f"{MODERN}:base"), Path("/runs/1"), told.append)
    assert caught.value is error
    assert not not_run(told), "it is a failure, not a kernel that cannot be had here"


def verdict(request: Request) -> Verdict:
    """Of a run in which the one test of each session that there is passes."""
    specs, events = prepared(request)
    for spec in specs:
        name = spec.variant
        events += [
            TestsCollected(variant=name, tests=("t::a",)),
            GuestBooted(variant=name, seconds=1.0, accelerator="tcg"),
            TestFinished(
                variant=name, test="t::a", outcome="passed", statements=("S1",), seconds=0.1
            ),
            SessionFinished(variant=name, status=0, seconds=1.0),
        ]
    names = tuple(row.name for row in request.variants)
    started = RunStarted(
        command=request.command, variants=names, expression="", seed=5, jobs=1, host="", qemu=""
    )
    return judge([started, *events, RunFinished()])


@pytest.mark.usefixtures("upstream")
def test_kernel_that_was_not_run_is_a_failure_only_where_it_is_required(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_be_had(builds, monkeypatch, NEWER, UNAVAILABLE)
    of_run = verdict(of("base", f"{MODERN}:base", f"{NEWER}:base"))
    assert of_run.passed
    assert [row.kernel for row in of_run.not_run] == [NEWER]
    assert {row.variant for row in of_run.variants} == {"base", f"{MODERN}:base"}
    exitstatus.raise_for(of_run)
    exitstatus.raise_for(of_run, (kernels.REFERENCE, MODERN, IPCHAINS))
    with pytest.raises(MissingSourceError):
        exitstatus.raise_for(of_run, (MODERN, NEWER))


@pytest.mark.usefixtures("upstream")
def test_run_in_which_no_kernel_could_be_had_is_no_pass(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    cannot_be_had(builds, monkeypatch, NEWER, UNAVAILABLE)
    of_run = verdict(of(f"{NEWER}:stock", f"{NEWER}:base"))
    assert not of_run.passed
    assert of_run.reasons == (f"{NEWER}: NOT RUN",)
    with pytest.raises(MissingSourceError):
        exitstatus.raise_for(of_run)


def test_ipchains_that_is_missing_is_a_failure_only_where_it_is_required() -> None:
    of_run = verdict(of("base"))
    assert of_run.passed
    ((row, _),) = of_run.missing
    assert row.name == IPCHAINS
    (line,) = of_run.done_without
    assert "our own program is in its place" in line
    assert "--source ipchains-1.3.9=PATH" in line
    exitstatus.raise_for(of_run, (kernels.REFERENCE,))
    with pytest.raises(MissingSourceError, match=r"ipchains-1\.3\.9 is required"):
        exitstatus.raise_for(of_run, (IPCHAINS,))


def test_kernel_of_this_host_can_be_required(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = of(f"{MODERN}:base", f"{NEWER}:base").variants
    for codename, own in (("bookworm", MODERN), ("trixie", NEWER), ("sid", NEWER)):
        release = Release("debian", "", codename)
        monkeypatch.setattr(packages, "host_release", lambda release=release: release)
        assert required(("host-kernel", IPCHAINS), chosen) == (IPCHAINS, own)
    with pytest.raises(UserError, match=r"linux-6\.12: none of its variants is among"):
        required(("host-kernel",), of(f"{MODERN}:base").variants)
    monkeypatch.setattr(packages, "host_release", lambda: Release("ubuntu", "", "noble"))
    with pytest.raises(UserError, match="there is no kernel for this host"):
        required(("host-kernel",), chosen)


@pytest.mark.usefixtures("upstream")
def test_what_is_required_has_to_run() -> None:
    chosen = of(f"{MODERN}:base").variants
    assert required((MODERN, IPCHAINS), chosen) == (MODERN, IPCHAINS)
    with pytest.raises(UserError, match=r"--require linux-2\.2\.12: none of its variants"):
        required((kernels.REFERENCE,), chosen)
    # Nor does one that could be had pass where all of its tests were left out.
    of_run = verdict(of(f"{MODERN}:base"))
    with pytest.raises(MissingSourceError, match="no test of it ran"):
        exitstatus.raise_for(of_run, (kernels.REFERENCE,))


@pytest.mark.usefixtures("upstream")
@pytest.mark.parametrize("kind", [VariantSelected, ImageBuilt, KernelBuilt])
def test_run_that_cannot_be_written_is_no_kernel_that_does_not_build(kind: type[Event]) -> None:
    told: list[Event] = []

    def on_event(event: Event) -> None:
        told.append(event)
        if isinstance(event, kind):
            raise NoRoomError("cannot write events.jsonl")

    with pytest.raises(NoRoomError):
        preparation.prepare(of("off", f"{MODERN}:base"), Path("/runs/1"), on_event)
    assert not not_built(told)
    assert isinstance(told[-1], kind)
