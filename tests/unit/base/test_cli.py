# SPDX-License-Identifier: GPL-2.0-only
"""The command line as a user meets it: statuses, messages, and a line of help for every task."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.exceptions import Exit

import tasks
from harness.base import background, cli, errors, paths, taskgroups
from tests.unit.support import commandline

GROUPS = taskgroups.load()


def _inv(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness.base.cli", "--search-root", str(paths.ROOT), *words],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-task",),
        ("test", "--no-such-flag"),
        ("test", "--jobs", "many"),
        ("--help", "no-such-task"),
        ("cc",),
    ],
)
def test_a_mistyped_command_line_is_the_users(words: tuple[str, ...]) -> None:
    result = _inv(*words)
    assert result.returncode == errors.EXIT_USER
    assert "Traceback" not in result.stderr
    assert "see: ./inv --list" in result.stderr


def test_words_behind_the_dashes_stay_words() -> None:
    words = ["inv", "run", "--variant", "base", "--", "sh", "-c", "exit 3", "--", ""]
    assert cli.remainder(words) == ["sh", "-c", "exit 3", "--", ""]
    assert cli.remainder(["inv", "run"]) == []


@pytest.mark.parametrize("words", [("cc", "--help"), ("statements", "-h"), ("--help", "cc")])
def test_help_of_a_task_that_takes_a_word(words: tuple[str, ...]) -> None:
    result = _inv(*words)
    assert result.returncode == 0
    assert "Options:" in result.stdout


def test_every_task_and_option_is_explained() -> None:
    for context in commandline.contexts():
        task = getattr(tasks, str(context.name).replace("-", "_"))
        assert task.__doc__ and task.__doc__.splitlines()[0].endswith("."), context.name
        for argument in context.args.values():
            assert argument.help, f"{context.name} --{argument.name} has no help"


def test_an_error_becomes_message_and_status() -> None:
    from invoke.exceptions import Exit

    @cli.reports_errors
    def build_kernel() -> None:
        raise errors.UserError("no variant 'x'", "known: base")

    with pytest.raises(Exit) as caught:
        build_kernel()
    assert caught.value.code == errors.EXIT_USER
    assert str(caught.value.message) == "build-kernel: no variant 'x'\nknown: base"


def test_what_a_guest_has_said_gives_the_terminal_no_orders() -> None:
    from invoke.exceptions import Exit

    @cli.reports_errors
    def run() -> None:
        raise errors.GuestError("panic: \x1b[2J")

    with pytest.raises(Exit) as caught:
        run()
    assert caught.value.message == "run: panic: \\x1b[2J"


def test_an_error_whose_report_is_printed_ends_without_another_word() -> None:
    from invoke.exceptions import Exit

    @cli.reports_errors
    def test() -> None:
        raise errors.TestsFailedError("")

    with pytest.raises(Exit) as caught:
        test()
    assert (caught.value.code, caught.value.message) == (errors.EXIT_TESTS_FAILED, None)


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (
            errno.EROFS,
            "Read-only file system\nruns, keys and logs are kept in the checkout: use one",
        ),
        (errno.ENOSPC, "no room on the disk of "),
    ],
)
def test_a_checkout_that_cannot_be_written(number: int, hint: str) -> None:
    from invoke.exceptions import Exit

    @cli.reports_errors
    def test() -> None:
        raise OSError(number, os.strerror(number), str(paths.BUILD / "runs"))

    with pytest.raises(Exit) as caught:
        test()
    assert caught.value.code == errors.EXIT_INFRASTRUCTURE
    message = str(caught.value.message)
    assert message.startswith(f"test: cannot write {paths.BUILD}/runs: {hint}")


def test_full_disk_is_one_line_also_where_nothing_says_of_which_file() -> None:
    from invoke.exceptions import Exit

    @cli.reports_errors
    def bench() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(Exit) as caught:
        bench()
    assert caught.value.code == errors.EXIT_INFRASTRUCTURE
    assert str(caught.value.message).startswith("bench: cannot write ")


def test_another_fault_of_a_file_is_ours() -> None:
    @cli.reports_errors
    def test() -> None:
        raise FileNotFoundError(errno.ENOENT, "not there", str(paths.BUILD / "runs"))

    with pytest.raises(FileNotFoundError):
        test()


def test_ctrl_c_has_a_status_of_its_own() -> None:
    from invoke.exceptions import Exit

    @cli.reports_errors
    def test() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Exit) as caught:
        test()
    assert caught.value.code == errors.EXIT_INTERRUPTED


def test_ctrl_c_before_anything_has_begun_leaves_no_traceback() -> None:
    # Blocked as `inv` does it, and pending before Python has started.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.base.cli", "--search-root", str(paths.ROOT), "--list"],
            cwd=paths.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (-signal.SIGINT, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_ends_a_job_ends_a_task_as_ctrl_c_does(number: signal.Signals) -> None:
    from invoke.exceptions import Exit

    tidied = []

    @cli.reports_errors
    def test() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.sigtimedwait([], 10)
        except KeyboardInterrupt:
            tidied.append(number)
            raise

    before = signal.getsignal(number)
    with pytest.raises(Exit) as caught:
        test()
    assert (caught.value.code, caught.value.message) == (128 + number, f"ended by {number.name}")
    assert tidied == [number]
    assert signal.getsignal(number) == before


def test_second_signal_does_not_end_what_the_first_has_begun(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Else an impatient user has no report; and the status is that of the first."""
    from invoke.exceptions import Exit

    written = []

    @cli.reports_errors
    def test() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.sigtimedwait([], 10)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGINT):
                os.kill(os.getpid(), number)
            written.append("report")

    with pytest.raises(Exit) as caught:
        test()
    assert written == ["report"]
    assert caught.value.code == 128 + signal.SIGTERM
    assert capfd.readouterr().err.count("ending already") == 1


def test_ignored_signal_stays_ignored() -> None:
    @cli.reports_errors
    def test() -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        test()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_every_task_is_in_one_group_whose_example_is_one_of_it() -> None:
    import tasks

    grouped = [name for group in GROUPS for name in group.tasks]
    there = {t.name.replace("_", "-") for t in vars(tasks).values() if hasattr(t, "get_arguments")}
    assert sorted(grouped) == sorted(there)
    for group in GROUPS:
        assert group.example.split()[:2] in [["./inv", name] for name in group.tasks]


@pytest.mark.parametrize("words", [("--help",), ("--list",), ()])
def test_tasks_are_shown_first_and_in_groups(words: tuple[str, ...]) -> None:
    result = _inv(*words)
    assert result.returncode == 0
    assert all(f"{group.title}, as by {group.example}\n" in result.stdout for group in GROUPS)
    assert "--prompt-for-sudo-password" not in result.stdout


def test_list_whose_data_is_wrong_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "taskgroups.toml"
    file.write_text("[oops\n")
    monkeypatch.setattr(taskgroups.DATA, "where", str(file))
    monkeypatch.setattr(sys, "argv", ["inv", "--search-root", str(paths.ROOT), "--list"])
    monkeypatch.setattr(background, "watch_others", lambda: None)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == errors.EXIT_USER
    assert f"inv: {file}:1: no TOML: Expected" in capsys.readouterr().err


def test_version_is_invokes() -> None:
    assert re.fullmatch(r"invoke \d[\d.]+\n", _inv("--version").stdout)


def test_options_of_invoke_itself_are_there_for_who_asks() -> None:
    assert "--prompt-for-sudo-password" in _inv("--help", "invoke").stdout


def test_no_letter_means_two_things() -> None:
    """invoke gives options letters by itself, in each task others."""
    import tasks

    for task in vars(tasks).values():
        if hasattr(task, "get_arguments"):
            letters = [n for each in task.get_arguments() for n in each.names if len(n) == 1]
            assert letters in ([], ["k"]), task.name


@pytest.mark.parametrize("value", ["judge", "statements"])
def test_value_of_an_option_is_no_task(value: str) -> None:
    result = _inv("report", "--run", value)
    assert "No idea what" not in result.stderr
    assert value in result.stderr


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("test",), []),
        (("test", "a.py"), ["a.py"]),
        (("test", "a.py", "--variant", "base", "b/"), ["a.py", "b/"]),
        (("test", "--keep", "a.py", "-k", "judge", "--jobs=2"), ["a.py"]),
        (("test", "-k", "-x", "a.py::test_b[c d]"), ["a.py::test_b[c d]"]),
        (("test", "a.py", "report", "--run", "x"), ["a.py"]),
        (("report", "test", "a.py"), None),
    ],
)
def test_words_of_test_are_files(words: tuple[str, ...], path: list[str] | None) -> None:
    program = cli._Parser(version="1", name="invoke", binary="inv")
    program.create_config()
    program.parse_core(["inv", "--search-root", str(paths.ROOT), *words])
    if path is None:
        # Behind another task the words are its own or invoke's.
        with pytest.raises(Exit):
            program.parse_collection()
            program.parse_tasks()
        return
    program.parse_collection()
    program.parse_tasks()
    assert program.tasks[0].args["path"].value == path
    assert len(program.tasks) == 1 + ("report" in words)


@pytest.mark.slow
def test_statements_wants_no_word() -> None:
    result = _inv("statements")
    assert (result.returncode, result.stderr) == (0, "")
    assert "S1/opens" in result.stdout


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("report --merge a b c", "report --merge a --merge b --merge c"),
        ("report --merge a --merge b", "report --merge a --merge b"),
        ("report --merge a b --run c", "report --merge a --merge b --run c"),
        ("report --merge test", "report --merge test"),
        ("run --variant base -- report --merge a b", "run --variant base -- report --merge a b"),
        ("report --run a test", "report --run a test"),
    ],
)
def test_option_that_takes_all_words_up_to_the_next(typed: str, meant: str) -> None:
    """As a shell makes them of a pattern."""
    assert cli._each_named(typed.split()) == meant.split()
