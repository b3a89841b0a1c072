# SPDX-License-Identifier: GPL-2.0-only
"""The pytest plugin of the guest tests: one session on one kernel, told as events.

Loaded by the runner (worker.command). It knows which statements a test proves, skips those that do
not apply, lends the guest, and turns pytest's reports into events.
"""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Generator
from pathlib import Path
from types import FrameType

import pytest

from harness.base import background, paths, runfolder
from harness.base.errors import GuestError, UserError
from harness.matrix import features, statements
from harness.network import dissect
from harness.record.events import TestsCollected
from harness.run import selection
from harness.run.guestsession import GuestSession
from harness.run.worker import WorkerSpec

MARK = "statement"
NEEDS = "needs"
_WHY_SKIPPED = pytest.StashKey[str]()
_SESSION = pytest.StashKey["GuestSession"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--divert-worker", type=Path, help="the runner's worker.json")
    parser.addoption("--divert-own", action="store_true", help="tests that need prove nothing")
    parser.addoption(
        "--divert-statements", default="", help="only tests that prove something of these"
    )
    parser.addoption(
        "--divert-proofs", type=Path, help="where to write what each test proves and needs"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{MARK}(*names): the statements of SPEC.md that it proves")
    config.addinivalue_line("markers", f"{NEEDS}(*features): what else the test needs of a kernel")
    file = config.getoption("--divert-worker")
    if file is not None:
        try:
            spec = WorkerSpec.read(file)
            config.stash[_SESSION] = GuestSession(spec)
            config.option.divert_own = spec.own
            config.option.divert_statements = ",".join(spec.statements)
        except UserError as error:
            raise pytest.UsageError(str(error)) from None
        if spec.patches:
            paths.PATCHES = Path(spec.patches)
        background.watch_others()
        config.pluginmanager.register(_Reporter(config.stash[_SESSION]), "divert-reporter")
        # The runner ends a session by SIGINT, which a job in the background may have inherited as
        # ignored.
        signal.signal(signal.SIGINT, _interrupt)
    elif not config.option.collectonly:
        raise pytest.UsageError("guest tests are run by ./inv test, which builds what they need")


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """Once: a second signal would end what the first has begun, and with it the exit status."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def proves(item: pytest.Item) -> tuple[str, ...]:
    """The statements that a test is marked with, in order, each once."""
    names = [str(name) for mark in item.iter_markers(MARK) for name in mark.args]
    return tuple(dict.fromkeys(names))


def needs(item: pytest.Item) -> tuple[str, ...]:
    """What a test needs for itself, as the `needs` of a statement has it."""
    return tuple(str(word) for mark in item.iter_markers(NEEDS) for word in mark.args)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    known, words = statements.load(), features.words()
    own = config.getoption("--divert-own")
    for item in items:
        names = proves(item)
        for word in needs(item):
            if word.removeprefix(features.NOT) not in words:
                raise pytest.UsageError(f"{item.nodeid} needs {word}, which no kernel can have")
        if not (names or own):
            raise pytest.UsageError(f"{item.nodeid} is not marked with a statement of SPEC.md")
        for name in names:
            try:
                statements.needs(name, known)
            except UserError as error:
                raise pytest.UsageError(f"{item.nodeid}: {error.message}") from None
    if asked := [name for name in config.getoption("--divert-statements").split(",") if name]:
        _deselect(config, items, asked)
    if own:
        # Whoever wrote them may mean their order.
        return
    if _SESSION in config.stash:
        # Every test begins on the same guest: then the order must not matter, and this keeps it so.
        spec = config.stash[_SESSION].spec
        random.Random(spec.seed).shuffle(items)  # noqa: S311
        place = {name: number for number, name in enumerate(spec.first)}
        items.sort(key=lambda item: place.get(item.nodeid, len(place)))
        if spec.only:
            share = frozenset(spec.only)
            items[:] = [item for item in items if item.nodeid in share]
        if not spec.rest:
            items[:] = [item for item in items if item.nodeid in place]


def _deselect(config: pytest.Config, items: list[pytest.Item], asked: list[str]) -> None:
    """Leave those that prove something of the statements `asked` for."""

    def wanted(item: pytest.Item) -> bool:
        return any(selection.proves(name, each) for name in asked for each in proves(item))

    chosen = [item for item in items if wanted(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell what is left when -k has taken its choice."""
    if (proofs := session.config.getoption("--divert-proofs")) is not None:
        found = {item.nodeid: (proves(item), needs(item)) for item in session.items}
        proofs.write_text(json.dumps(found))


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Show packets that are not those expected decoded, beside each other."""
    seen, expected = dissect.packets(left), dissect.packets(right)
    if op != "==" or seen is None or expected is None or not (seen or expected):
        return None
    return ["the packets are not those expected", *dissect.compared(seen, expected)]


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module or a class that skips itself takes its tests with it, and nobody would miss them."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        why = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        report.longrepr = f"{collector.nodeid} skips itself when it is collected: {why}"
    return report


class _Reporter:
    """The hooks that need the session."""

    def __init__(self, session: GuestSession) -> None:
        self.session = session
        self.known = statements.load()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        tests = tuple(item.nodeid for item in session.items)
        self.session.events.write(TestsCollected(variant=self.session.spec.variant, tests=tests))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        names = proves(item)
        record = self.session.record(item.nodeid)
        record.statements = names
        record.own = str(item.path) if self.session.spec.own else ""
        record.line = (item.location[1] or 0) + 1
        spec = self.session.spec
        has = self.session.has
        reason = statements.why_skipped(names, has, self.known, spec.lacks)
        reason = reason or statements.why_unfit(needs(item), has)
        if reason is not None:
            item.stash[_WHY_SKIPPED] = reason
            pytest.skip(reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        record = self.session.record(item.nodeid)
        if call.excinfo is not None:
            self._stop_without_room(item, call.excinfo.value)
            self._doubt_guest(call.excinfo.value)
        if (broken := self.session.broken) is not None:
            item.session.shouldstop = broken.message
        record.seconds += report.duration
        record.measures.update((name, str(value)) for name, value in report.user_properties)
        if report.skipped and _WHY_SKIPPED in item.stash and report.when == "setup":
            record.outcome = "skipped"
            record.messages.append(item.stash[_WHY_SKIPPED])
        elif self.session.spec.own and report.skipped:
            # Their author's own business, but shown.
            record.outcome = "skipped"
            record.messages.append(_own_reason(report))
        elif report.skipped or (hasattr(report, "wasxfail") and not self.session.spec.own):
            # A skip or an expected failure that no data file announces hides something.
            report.outcome = "failed"
            record.outcome = "failed"
            record.messages.append(_hidden(call, report))
        elif report.failed:
            record.outcome = "failed"
            record.messages.append(_message(call, report))
            try:
                self._keep_report(item.nodeid, report)
            except OSError as error:
                self._stop_without_room(item, error)
        return report

    def _stop_without_room(self, item: pytest.Item, error: BaseException) -> None:
        """Where the disk is full nothing is known of this test, nor would be of others."""
        full = runfolder.lacking(error, self.session.folder)
        if full is not None:
            self.session.record(item.nodeid).no_room = str(full)
            self.session.stop_reason = full.message
            item.session.shouldstop = full.message

    def _doubt_guest(self, error: BaseException) -> None:
        """Of what a test claims, and of what it says of its guest, it is known how that leaves the
        guest; of another error, as a wait of the harness in vain, it is not.
        """
        known = isinstance(error, AssertionError | GuestError | pytest.fail.Exception)
        if self.session.lender is not None and not (
            known or isinstance(error, pytest.skip.Exception)
        ):
            self.session.lender.doubt()

    def _keep_report(self, test: str, report: pytest.TestReport) -> None:
        folder = self.session.artifacts(test)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "failure.txt").open(
            "a", encoding="utf-8", errors="backslashreplace"
        ) as stream:
            stream.write(f"--- {report.when}\n{report.longreprtext}\n")
            for title, text in report.sections:
                stream.write(f"--- {title}\n{text}\n")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.session.start(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.session.finish(nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        lender = self.session.lender
        if lender is not None and lender.hopeless:
            self.session.stop_reason = "the guest does not boot"
            item.session.shouldfail = self.session.stop_reason

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        self.session.close(int(exitstatus))


def _own_reason(report: pytest.TestReport) -> str:
    """Why somebody's own test skips itself, or that it was marked as one that may fail."""
    if (why := getattr(report, "wasxfail", None)) is not None:
        return f"expected to fail: {why}"
    skipped = report.longrepr
    return str(skipped[2] if isinstance(skipped, tuple) else skipped)


def _hidden(call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    """What a test hides that skips itself, or is marked as one that may fail."""
    if (why := getattr(report, "wasxfail", None)) is None:
        return f"skipped without a reason from data: {report.longreprtext}"
    how = "failed" if call.excinfo else "passed"
    return f"marked as an expected failure ({why or 'no reason'}), and {how}"


def _message(call: pytest.CallInfo[None], report: pytest.TestReport) -> str:
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, GuestError):
        return f"{error}{_asked_at(call)}"
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        return f"{crash.message}\n{_line(Path(crash.path), crash.lineno)}"
    return report.longreprtext


def _asked_at(call: pytest.CallInfo[None]) -> str:
    """The line of the test that asked the guest in vain; nothing, where that was no test's."""
    assert call.excinfo is not None
    places = [(Path(entry.path), entry.lineno + 1) for entry in call.excinfo.traceback]
    lines = [_line(path, line) for path, line in places if path.name.startswith("test_")]
    return f"\n{lines[-1]}" if lines else ""


def _line(path: Path, line: int) -> str:
    """A line of a file, by its path in the checkout if it is there."""
    shown = path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else path
    return f"({shown}, line {line})"


@pytest.fixture(scope="session")
def divert_session(request: pytest.FixtureRequest) -> GuestSession:
    """The session that the test runs in."""
    return request.config.stash[_SESSION]


@pytest.fixture(scope="session")
def worker_spec(divert_session: GuestSession) -> WorkerSpec:
    """What the runner told this session: variant, kernel, image, folder."""
    return divert_session.spec


@pytest.fixture
def artifacts(request: pytest.FixtureRequest, divert_session: GuestSession) -> Path:
    """A folder for what helps to understand a failure; removed when the test passes."""
    folder = divert_session.artifacts(request.node.nodeid)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
