# SPDX-License-Identifier: GPL-2.0-only
"""A session on a toy suite: what is proved, skipped and failed, and what becomes of a crash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.record.events import (
    GuestBooted,
    GuestLost,
    HarnessBroken,
    NoRoom,
    SessionFinished,
    TestsCollected,
)
from harness.run.guestsession import LONGEST_MESSAGE
from tests.unit.support import toysuite
from tests.unit.support.toysuite import Heard

pytestmark = pytest.mark.slow

SUITE = """
@S1
def test_passes(guest): pass

@S1
def test_fails(guest):
    seen = 3
    assert seen == 4, "packets seen"

@pytest.mark.statement("S2/plain")
def test_does_not_apply(guest):
    raise AssertionError("must not run")

@S1
@pytest.mark.needs("divert", "smp")
def test_needs_more(guest):
    raise AssertionError("must not run")

@S1
@pytest.mark.needs("divert", "no smp")
def test_has_what_it_needs(guest): pass

@S1
def test_skips_by_itself(guest):
    pytest.skip("no time today")

@S1
@pytest.mark.xfail
def test_expected_to_fail(guest):
    assert False

@S1
@pytest.mark.xfail
def test_expected_to_fail_and_passes(guest): pass

@S1
def test_crashes_unseen(guest):
    guest.crashed = True

@S1
def test_crashes_and_fails(guest):
    guest.crashed = True
    assert False, "no answer"

@pytest.mark.statement("S3/byte-order")
@pytest.mark.statement("S1/opens", "S4/short")
@pytest.mark.parametrize("hook", ["input", "output"])
def test_table(hook): pass
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    folder = tmp_path_factory.mktemp("plugin")
    return toysuite.run([toysuite.spec(folder)], toysuite.make(folder, SUITE))


def test_outcomes(heard: Heard) -> None:
    assert {name: event.outcome for name, event in heard.finished().items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_does_not_apply": "skipped",
        "test_needs_more": "skipped",
        "test_has_what_it_needs": "passed",
        "test_skips_by_itself": "failed",
        "test_expected_to_fail": "failed",
        "test_expected_to_fail_and_passes": "failed",
        "test_crashes_unseen": "failed",
        "test_crashes_and_fails": "failed",
        "test_table[input]": "passed",
        "test_table[output]": "passed",
    }


def test_all_collected_tests_end_and_so_does_the_session(heard: Heard) -> None:
    (collected,) = [e for e in heard.events if isinstance(e, TestsCollected)]
    assert sorted(name.rpartition("::")[2] for name in collected.tests) == sorted(heard.finished())
    (session,) = [e for e in heard.events if isinstance(e, SessionFinished)]
    assert session.status == 1
    assert heard.troubles == []


def test_messages_say_why(heard: Heard) -> None:
    tests = heard.finished()
    assert "packets seen" in tests["test_fails"].message
    assert "assert 3 == 4" in tests["test_fails"].message
    assert "test_toy.py" in tests["test_fails"].message
    assert tests["test_does_not_apply"].message == (
        "not applicable: S2/plain needs a kernel with no divert"
    )
    assert tests["test_needs_more"].message == "not applicable: it needs a kernel with smp"
    assert "no time today" in tests["test_skips_by_itself"].message
    for name, how in (("to_fail", "failed"), ("to_fail_and_passes", "passed")):
        said = tests[f"test_expected_{name}"].message
        assert said == f"marked as an expected failure (no reason), and {how}"
    assert tests["test_passes"].message == ""


def test_statements_in_order(heard: Heard) -> None:
    assert heard.finished()["test_table[input]"].statements == (
        "S1/opens",
        "S4/short",
        "S3/byte-order",
    )


def test_crash_fails_the_test_and_costs_the_guest(heard: Heard) -> None:
    tests = heard.finished()
    assert tests["test_crashes_unseen"].message == "kernel panic: toy\nconsole: last words"
    assert "no answer" in tests["test_crashes_and_fails"].message
    assert "kernel panic: toy" in tests["test_crashes_and_fails"].message
    lost = [
        event.test.rpartition("::")[2] for event in heard.events if isinstance(event, GuestLost)
    ]
    assert sorted(lost) == ["test_crashes_and_fails", "test_crashes_unseen"]
    assert len([event for event in heard.events if isinstance(event, GuestBooted)]) >= len(lost)


def test_artifacts_are_kept_of_failures_only(heard: Heard) -> None:
    tests = heard.finished()
    kept = Path(tests["test_fails"].artifacts)
    assert (kept / "console.txt").read_text() == "console"
    assert "assert 3 == 4" in (kept / "failure.txt").read_text()
    assert tests["test_passes"].artifacts == ""
    assert not (kept.parent / "test_toy.py_test_passes").exists()


def test_guest_that_does_not_boot_ends_the_session_early(tmp_path: Path) -> None:
    tests = "\n".join(f"@S1\ndef test_{letter}(guest): pass" for letter in "abcdefgh")
    broken = toysuite.CONFTEST.replace("BROKEN = False", "BROKEN = True")
    heard = toysuite.run([toysuite.spec(tmp_path)], toysuite.make(tmp_path, tests, broken))
    assert [event.outcome for event in heard.finished().values()] == ["failed", "failed"]
    (session,) = [e for e in heard.events if isinstance(e, SessionFinished)]
    assert session.status != 0
    assert session.message == "the guest does not boot"


@pytest.mark.parametrize(
    ("test", "complaint"),
    [
        ("def test_bare(): pass", "test_bare is not marked with a statement"),
        ("@pytest.mark.statement('S99')\ndef test_odd(): pass", "there is no statement S99"),
        ("@pytest.mark.statement('S1/x')\ndef test_odd(): pass", "S1 has no case x"),
        (
            "@S1\n@pytest.mark.needs('tunels')\ndef test_odd(): pass",
            "needs tunels, which no kernel",
        ),
    ],
)
def test_unmarked_test_is_an_error(tmp_path: Path, test: str, complaint: str) -> None:
    suite = toysuite.make(tmp_path, f"@S1\ndef test_good(): pass\n{test}\n")
    heard = toysuite.run([toysuite.spec(tmp_path)], suite)
    assert heard.finished() == {}
    assert complaint in (tmp_path / "base" / "pytest.log").read_text()
    assert len(heard.troubles) == 1


def test_order_depends_on_the_seed_alone(tmp_path: Path) -> None:
    tests = "\n".join(f"@S1\ndef test_{letter}(): pass" for letter in "abcdefgh")
    suite = toysuite.make(tmp_path, tests)
    orders = []
    for variant in ("base", "defrag"):
        heard = toysuite.run([toysuite.spec(tmp_path, variant)], suite)
        orders.append(list(heard.finished()))
    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0])


ORDERED = "@S1\ndef test_a(guest): pass\n@S1\ndef test_b(guest): assert False\n"
ORDERED += "@S1\ndef test_c(guest): pass\n@S1\ndef test_d(guest): pass\n"


def test_named_tests_run_first_and_it_stops_at_the_first_failure(tmp_path: Path) -> None:
    first = ("test_toy.py::test_d", "test_toy.py::test_b")
    told = replace(toysuite.spec(tmp_path), first=first, stop=True)
    heard = toysuite.run([told], toysuite.make(tmp_path, ORDERED))
    assert list(heard.finished()) == ["test_d", "test_b"]


def test_the_rest_can_be_left_out(tmp_path: Path) -> None:
    told = replace(toysuite.spec(tmp_path), first=("test_toy.py::test_c",), rest=False)
    heard = toysuite.run([told], toysuite.make(tmp_path, ORDERED))
    assert list(heard.finished()) == ["test_c"]


def test_series_are_looked_for_where_the_session_is_told(tmp_path: Path) -> None:
    tests = (
        "from harness.base import paths\n"
        "@S1\ndef test_a(): assert str(paths.PATCHES) == '/series'\n"
    )
    told = replace(toysuite.spec(tmp_path), patches="/series")
    heard = toysuite.run([told], toysuite.make(tmp_path, tests))
    assert heard.finished()["test_a"].outcome == "passed"


def test_full_disk_is_no_failure_of_a_test_and_ends_the_session(tmp_path: Path) -> None:
    """Nothing is known of the test in which the disk was found full, nor of those behind it."""
    tests = """
import errno, pathlib
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

@pytest.fixture
def kept(divert_session):
    yield
    raise FULL

@S1
def test_first(kept): pass

@S1
def test_second(kept): assert False
"""
    heard = toysuite.run([toysuite.spec(tmp_path)], toysuite.make(tmp_path, tests))
    assert heard.finished() == {}
    (told,) = (event for event in heard.events if isinstance(event, NoRoom))
    folder = tmp_path / "base"
    assert told.message.startswith(f"cannot write {folder}: No space left on device\nmake room")
    (session,) = (event for event in heard.events if isinstance(event, SessionFinished))
    assert session.status == 2
    assert session.message in told.message


BROKEN_THREAD = """
import threading
from harness.base.background import Background

@S1
def test_breaks(guest):
    {thread}
    assert True

@S1
def test_later(guest): pass
"""


@pytest.mark.parametrize(
    "thread",
    [
        "Background(lambda: 1 / 0, name='wire0').join()",
        "t = threading.Thread(target=lambda: 1 / 0, name='wire0'); t.start(); t.join()",
    ],
)
def test_broken_thread_of_the_harness_ends_the_session(tmp_path: Path, thread: str) -> None:
    """Nothing is known of this test, nor would it be of the next; and no guest is blamed."""
    first = ("test_toy.py::test_breaks",)
    suite = toysuite.make(tmp_path, BROKEN_THREAD.format(thread=thread))
    heard = toysuite.run([replace(toysuite.spec(tmp_path), first=first)], suite)
    assert heard.finished() == {}
    (told,) = (event for event in heard.events if isinstance(event, HarnessBroken))
    assert told.test.endswith("test_breaks")
    assert "its thread wire0: ZeroDivisionError" in told.message
    (session,) = (event for event in heard.events if isinstance(event, SessionFinished))
    assert (session.status, session.message in told.message) == (2, True)
    assert not any(isinstance(event, GuestLost) for event in heard.events)


def test_guest_is_not_lent_again_after_an_error_of_the_harness(tmp_path: Path) -> None:
    tests = """
from harness.base.errors import DeadlineError

@S1
def test_a(guest): raise DeadlineError("no complete capture of wire0 within 5 s")

@S1
def test_b(guest): assert False

@S1
def test_c(guest): pass
"""
    first = tuple(f"test_toy.py::test_{letter}" for letter in "abc")
    told = replace(toysuite.spec(tmp_path), first=first)
    heard = toysuite.run([told], toysuite.make(tmp_path, tests))
    order = [type(event).__name__ for event in heard.events]
    booted = [number for number, name in enumerate(order) if name == "GuestBooted"]
    ended = [number for number, name in enumerate(order) if name == "TestFinished"]
    assert len(booted) == 2
    assert booted[0] < ended[0] < booted[1] < ended[1]
    assert "no complete capture" in heard.finished()["test_a"].message


def test_message_of_any_text_and_any_length_is_kept_in_bounds(tmp_path: Path) -> None:
    """A name of a file that is no UTF-8 comes as a lone surrogate, which no file takes."""
    tests = """
@S1
def test_a(): raise AssertionError("begin " + os.fsdecode(b"\\xff") + "x" * 5_000_000 + " end")

@S1
def test_b(record_property): record_property("name", os.fsdecode(b"\\xff"))
"""
    heard = toysuite.run([toysuite.spec(tmp_path)], toysuite.make(tmp_path, tests))
    tests_ = heard.finished()
    message = tests_["test_a"].message
    assert message.startswith("AssertionError: begin \\udcff")
    assert "end" in message[-200:]
    assert len(message) < LONGEST_MESSAGE + 200
    assert "characters are in failure.txt" in message
    assert tests_["test_b"].measures == {"name": "\\udcff"}
    assert (Path(tests_["test_a"].artifacts) / "failure.txt").stat().st_size > 5_000_000
    (session,) = (event for event in heard.events if isinstance(event, SessionFinished))
    assert session.status == 1
