# SPDX-License-Identifier: GPL-2.0-only
"""The pytest process of one variant: what it is told, and how it is started and ended."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.base import owntime, paths, runfolder
from harness.base.errors import InfrastructureError, TestsFailedError, UserError
from harness.boot.bootable import Bootable
from harness.matrix import kernels, statements, variants
from harness.matrix.availability import Upstream
from harness.matrix.kernels import Hardware
from harness.run.selection import Selection

PLUGIN = "harness.run.plugin"
# What tests take as fixtures: the package for everybody's tests, which stands above the harness.
FIXTURES = "divert_reference.fixtures"
# pytest's own exit statuses.
COLLECTION_ERROR = 2
USAGE = 4
NO_TESTS = 5
# After SIGINT a session has its guest to stop and its events to write.
ORDERLY_SECONDS = 15.0
# A job in the background has SIGINT ignored, and so would its session until its plugin is loaded.
# The shell between, since env takes a path with = in it, as that of Python may be, for a variable.
_INTERRUPTIBLE = ("env", "--default-signal=INT", "sh", "-c", 'exec "$0" "$@"')
# What is a list in the file that tells a session of itself.
_TUPLES = ("has", "given", "first", "modules", "only", "statements")
# What pytest says of a test that is named and is not there.
_NOT_FOUND = re.compile(r"^ERROR: (?:not found|file or directory not found): (.*)$", re.MULTILINE)
# Of its own time: beside builds and guests it can take minutes.
COLLECT_SECONDS = 60.0


@dataclass(frozen=True)
class WorkerSpec:
    """What one session needs to know. `has` is in the words of features.toml, and so is what
    the guest `lacks`, each with the upstream source that is missing for it.

    `events` is where its events go, a file or a pipe; all else it writes is below `folder`. `only`
    are the tests that there are for it, all if empty: of a shard. The tests named in `first` run
    first, in that order, and the others after them only if `rest`; `stop` ends it at the first that
    fails; `patches` is looked in instead of the checkout's folder of that name. `modules` are the
    files of tests that it reads; none: all that there are. `statements` are those of which a test
    has to prove something to be among them; none: all. `own`: these are somebody's own tests, which
    need prove nothing, may skip themselves, and come in the order of their files. `processors` are
    those of the guest, `memory_mib` what its image needs if that is more than its kernel's machine
    has. `row` is the variant that it boots, where `variant` is but the session's name, as of a
    mutant's. `traced`: the addresses whose blocks are told, test by test (harness.run.tracing);
    none if empty.
    """

    variant: str
    has: tuple[str, ...]
    folder: str
    events: str
    seed: int
    keep: bool
    bzimage: str
    objects: str
    initrd: str
    private_key: str
    host_key: str
    given: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    rest: bool = True
    stop: bool = False
    patches: str = ""
    modules: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    own: bool = False
    only: tuple[str, ...] = ()
    kernel: str = kernels.REFERENCE
    processors: int = 1
    traced: str = ""
    memory_mib: int = 0
    row: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(
        built: Bootable,
        found: Upstream,
        folder: Path,
        given: Sequence[str] = (),
        *,
        long: bool = False,
        **more: Any,
    ) -> WorkerSpec:
        """A session of what was built from what was `found`, whose events go to a file of its
        `folder`; `more` are other fields, or these as they are to be.

        `long`: of so many tests that a slower boot pays.
        """
        variant = built.variant
        fields: dict[str, Any] = {
            "variant": variant.name,
            "has": found.has(variant),
            "lacks": found.lacks(variant),
            "folder": str(folder),
            "events": str(folder / "events.jsonl"),
            "seed": 0,
            "keep": False,
            "bzimage": str(built.kernel_for(long=long)),
            "objects": str(built.objects or ""),
            "initrd": str(built.image.initrd),
            "private_key": str(built.image.private_key),
            "host_key": str(built.image.host_key),
            "given": tuple(given),
            "kernel": variant.kernel,
            "processors": variant.processors,
            "memory_mib": built.memory_mib,
            "row": variant.name,
        }
        return WorkerSpec(**fields | more)

    @property
    def hardware(self) -> Hardware:
        """The machine that the guest boots on."""
        own = kernels.named(self.kernel).hardware
        memory = max(own.memory_mib, self.memory_mib)
        return replace(own, processors=self.processors, memory_mib=memory)

    def write(self, path: Path) -> None:
        """Write it for the session to read."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def read(path: Path) -> WorkerSpec:
        """What the runner wrote. Raises UserError if it is not there or something else."""
        try:
            row = json.loads(path.read_text())
            rows = {key: tuple(row[key]) for key in _TUPLES}
            return WorkerSpec(**{**row, **rows})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"cannot use {path}: {error}", "guest tests run by ./inv test"
            ) from None


class Worker:
    """A running session; its whole process group ends with it."""

    def __init__(self, spec: WorkerSpec, tests: Path, expression: str) -> None:
        """Start it. Raises NoRoomError if there is no room for what it is told."""
        self.spec = spec
        self._partial = b""
        folder = Path(spec.folder)
        with runfolder.of_run(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "pytest.log"
        self.pipe, write_end = os.pipe()
        told = folder / "worker.json"
        options = [f"--divert-worker={told}", "--color=no", *(["-x"] if spec.stop else [])]
        try:
            with runfolder.of_run(told):
                replace(spec, events=f"/proc/self/fd/{write_end}").write(told)
                stream = self.log.open("wb")
            with stream:
                self.process = subprocess.Popen(
                    [*_INTERRUPTIBLE, *command(tests, expression, spec.modules), *options],
                    cwd=paths.ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
        finally:
            os.close(write_end)

    def lines(self) -> list[str] | None:
        """The lines that have come since the last call; None when no more will come."""
        data = os.read(self.pipe, 1 << 16)
        if not data:
            return None
        whole, newline, rest = (self._partial + data).rpartition(b"\n")
        self._partial = rest
        return whole.decode().splitlines() if newline else []

    def interrupt(self) -> None:
        """Ask the session to end in good order: to stop its guest and write its last events."""
        # The process alone: its QEMU is to be stopped by it, not shot beside it.
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the process, not for long; its exit status. The rest of its group is killed."""
        try:
            status = self.process.wait(ORDERLY_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self.pipe)
        return status


def command(tests: Path, expression: str, modules: Sequence[str] = ()) -> list[str]:
    """The pytest command line for the tests in `tests`, or in some of its modules.

    It is for paths.ROOT: pytest finds a meaning of its own in brackets and dollars of a path, so it
    is told of none above the checkout.
    """
    root = os.path.relpath(tests, paths.ROOT)
    named = [f"{root}/{name}" for name in modules] or [root]
    argv = [sys.executable, "-m", "pytest", *named, "-p", PLUGIN, "-p", FIXTURES]
    argv += ["-p", "no:cacheprovider"]
    # What ends a thread is kept by harness.base.background; that plugin would make it a warning.
    argv += ["-p", "no:threadexception"]
    argv += ["-q", "--import-mode=importlib", f"--rootdir={root}", "-c", os.devnull]
    return [*argv, "-k", expression] if expression else argv


@dataclass(frozen=True)
class Test:
    """What a test `proves`, `S1` or `S1/case`, and what it `needs` of a kernel besides."""

    __test__ = False  # not a test class, whatever its name begins with
    proves: tuple[str, ...]
    needs: tuple[str, ...] = ()


def collect(tests: Path, expression: str = "") -> dict[str, tuple[str, ...]]:
    """The tests that `expression` selects, with what each proves. Raises as `survey` does."""
    selected = Selection(expression, root=tests)
    return {name: test.proves for name, test in survey(selected).items()}


def survey(selected: Selection) -> dict[str, Test]:
    """The tests that are selected.

    Raises UserError if it cannot be parsed or selects none; TestsFailedError with pytest's output
    if the tests are such that they cannot be collected; InfrastructureError if pytest does not come
    to that.
    """
    # Tests ask for these when they are imported; what is wrong there would be told as a test's.
    variants.load()
    statements.load()
    with tempfile.NamedTemporaryFile(prefix="proofs-", suffix=".json") as proofs:
        tests, expression = selected.root, selected.expression
        argv = [*command(tests, expression, selected.modules), "--collect-only", "--color=no"]
        argv += [f"--divert-statements={','.join(selected.statements)}"]
        argv += ["--divert-own"] if selected.own else []
        try:
            done = _collected([*argv, f"--divert-proofs={proofs.name}"])
        except subprocess.TimeoutExpired:
            raise InfrastructureError(
                f"collecting the tests in {tests} took over {COLLECT_SECONDS:g} s"
            ) from None
        if not selected.whole and done.returncode == NO_TESTS:
            if selected.words == ("-k", expression):
                raise UserError(
                    f"no guest test's name matches -k {expression!r}",
                    "see: ls tests/guest/*, or README.md",
                )
            raise UserError(f"no test is selected by {selected}", "leave some of it out")
        if selected.files and done.returncode == USAGE and (lost := _NOT_FOUND.search(done.stderr)):
            raise UserError(f"there is no such test: {lost[1]}", "see: ./inv test --help")
        if expression and done.returncode == USAGE and "-k" in done.stderr:
            raise UserError(f"pytest does not understand -k {expression!r}", _tail(done.stderr, 3))
        if done.returncode != 0:
            broken = done.returncode in (COLLECTION_ERROR, USAGE, NO_TESTS)
            raise (TestsFailedError if broken else InfrastructureError)(
                f"the guest tests cannot be collected (pytest's status {done.returncode})",
                _why(done.stdout, done.stderr),
            )
        return {
            name: Test(tuple(proved), tuple(needed))
            for name, (proved, needed) in json.load(proofs).items()
        }


def _why(stdout: str, stderr: str) -> str:
    """What pytest says of its errors, of all that it says: it lists the tests that it has, too."""
    if stderr.strip():
        return _tail(stderr, 30)
    _, _, errors = stdout.partition("= ERRORS =")
    return _tail(errors.partition("\n")[2] or stdout, 30)


def _collected(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What pytest says. Raises subprocess.TimeoutExpired; no process is left, on Ctrl-C neither."""
    with subprocess.Popen(
        argv,
        cwd=paths.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, told = owntime.communicate(process, COLLECT_SECONDS)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(argv, process.returncode, said, told)


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
