# SPDX-License-Identifier: GPL-2.0-only
"""The recipes for CI services, as far as they can be tried without these: their form, their shell
lines, and these lines in their order, with what `./inv` leaves behind.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.base import paths
from harness.record import runfolders
from harness.report import report
from tests.unit.report.test_merge import changed, failed, three, write
from tests.unit.support import doclines, recipes
from tests.unit.support.recipes import Script
from tests.unit.test_doclines import _fault

BIN = Path(sys.executable).parent
SCRIPTS = recipes.every()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-workflows", recipes.GITHUB), ("vendor.gitlab-ci", recipes.GITLAB)],
)
def test_recipe_is_of_the_form_that_its_service_knows(schema: str, file: Path) -> None:
    argv = [str(BIN / "check-jsonschema"), "--builtin-schema", schema, str(file)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shell_lines_have_no_fault_that_shellcheck_knows(tmp_path: Path) -> None:
    # GitHub's steps and Jenkins' are of bash -e and sh -xe; no bashism is in any of them.
    files = []
    for number, script in enumerate(SCRIPTS):
        files.append(tmp_path / f"{number}-{script}".replace(" ", "-"))
        files[-1].write_text(script.text)
    argv = [str(BIN / "shellcheck"), "--shell=dash", "--exclude=SC2148", *map(str, files)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


def _inv_lines(script: Script) -> list[str]:
    """The commands of ours in a script, as they would be typed."""
    text = script.text.replace("\\\n", " ")
    return [found.strip() for found in re.findall(r"\./inv\b[^|&;>\n]*", text)]


def test_each_inv_line_is_one_that_can_be_typed() -> None:
    for script in SCRIPTS:
        name = script.file.relative_to(paths.ROOT).as_posix()
        for text in _inv_lines(script):
            assert not _fault(doclines.Line(name, 1, text))


def test_each_recipe_has_lines_of_ours() -> None:
    files = {script.file for script in SCRIPTS if _inv_lines(script)}
    assert files == {recipes.GITHUB, recipes.GITLAB, recipes.JENKINS, recipes.CRON}


def test_numbers_of_shards_agree() -> None:
    """A job that divides by eight and starts seven would never have a verdict."""
    jobs = recipes.load(recipes.GITHUB)["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["shard"] == list(range(1, 9))
    (line,) = [text for s in SCRIPTS for text in _inv_lines(s) if "--shard 1/" in text]
    assert line.endswith("--shard 1/8")
    text = recipes.JENKINS.read_text()
    (values,) = re.findall(r"values (.*)", text)
    (again,) = re.findall(r"for \(shard in \[(.*)\]\)", text)
    numbers = [str(n) for n in range(1, 5)]
    assert shlex.split(values.replace(",", "")) == shlex.split(again.replace(",", "")) == numbers
    assert '--shard "$SHARD/4"' in text


# What stands in for ./inv: it writes down how it was called, leaves the run that `test` would have
# left, and merges really.
STAND_IN = """\
#!/bin/sh
echo "$*" >>"{log}"
case $1 in
test)
	for word; do case $word in */[0-9]) number=${{word%/*}} ;; esac; done
	[ -d "{shards}/$number" ] || exit 3
	mkdir -p build/runs/now
	cp -R "{shards}/$number/." build/runs/now
	rm -f build/runs/latest
	ln -s now build/runs/latest
	;;
report)
	exec "{python}" -c 'import sys
from pathlib import Path
sys.path.insert(0, "{root}")
from harness.base import paths
from harness.base.errors import HarnessError
from harness.report import report
paths.RUNS = Path("build/runs").resolve()
try:
    report.show_merged(sys.argv[1:])
except HarnessError as error:
    print(error)
    sys.exit(error.exit_status)
' "${{@:3}}"
	;;
esac
"""


class Service:
    """What runs a job: a fresh checkout, a shell for each step, files that go from job to job."""

    def __init__(self, folder: Path, shards: Sequence[Sequence[object]]) -> None:
        self.folder, self.log = folder, folder / "log"
        for number, events in enumerate(shards, 1):
            if events:
                made = write(folder / "shards" / str(number), events)  # type: ignore[arg-type]
                _reported(made)

    def checkout(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir()
        text = STAND_IN.format(
            log=self.log, shards=self.folder / "shards", python=sys.executable, root=paths.ROOT
        )
        (place / "inv").write_text(text.replace("#!/bin/sh", "#!/bin/bash"))
        (place / "inv").chmod(0o755)
        return place

    def run(self, place: Path, script: str, **environment: str) -> int:
        env = {
            "PATH": "/usr/bin:/bin",
            "GITHUB_STEP_SUMMARY": str(place / "summary"),
            "GITHUB_ENV": str(place / "environment"),
        }
        done = subprocess.run(
            ["/bin/sh", "-e", "-c", script],
            cwd=place,
            env=env | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        (place / "output").write_text(done.stdout + done.stderr)
        return done.returncode


def _reported(folder: Path) -> None:
    report.write(folder, runfolders.events(folder))


def on_github(service: Service) -> tuple[list[int], int, Path]:
    """The statuses of the shards' steps and of the verdict's, and where that was."""
    steps = recipes.load(recipes.GITHUB)["jobs"]
    statuses = []
    artifacts = service.folder / "artifacts"
    artifacts.mkdir()
    # As many as the toy run has.
    for number in (1, 2, 3):
        place = service.checkout(f"test-{number}")
        known = {"matrix.shard": str(number)}
        scripts = [s.text for s in recipes.github(known) if s.job == "test"]
        assert len(scripts) == sum("run" in step for step in steps["test"]["steps"])
        *first, test, left = scripts
        for script in first:
            assert service.run(place, script) == 0
        statuses.append(service.run(place, test))
        service.run(place, left)
        for file in place.glob("shard-*.tar.gz"):
            (artifacts / file.name).write_bytes(file.read_bytes())
    place = service.checkout("verdict")
    artifacts.rename(place / "shards")
    setup, merge, left = [s.text for s in recipes.github() if s.job == "verdict"]
    service.run(place, setup)
    status = service.run(place, merge)
    service.run(place, left)
    return statuses, status, place


@pytest.mark.slow
def test_lines_for_github_give_a_verdict_and_what_it_shows(tmp_path: Path) -> None:
    service = Service(tmp_path, three())
    statuses, status, place = on_github(service)
    assert (statuses, status) == ([0, 0, 0], 0), (place / "output").read_text()
    assert (place / "summary").read_text().startswith("## PASS: 6 passed")
    names = {path.name for path in (place / "verdict").iterdir()}
    assert names == {
        *("statements.html", "statements.json", "junit.xml", "badge.svg", "run.tar.gz"),
    }
    assert "--shard 2/8" in service.log.read_text()
    assert (tmp_path / "test-2" / "summary").read_text().startswith("## PASS of shard 2 of 3")


@pytest.mark.slow
def test_red_shard_and_one_that_left_nothing_make_the_verdict_on_github_red(tmp_path: Path) -> None:
    shards: list[Sequence[object]] = [*changed(three(), 2, failed)]
    shards[2] = []
    statuses, status, place = on_github(Service(tmp_path, shards))
    assert (statuses[2], status) == (3, 1)
    summary = (place / "summary").read_text()
    assert summary.startswith("## FAIL")
    assert "shard 3 of 3 is missing" in summary
    assert "::error file=tests/guest/c/t.py" in (tmp_path / "test-2" / "output").read_text()


@pytest.mark.slow
def test_lines_for_gitlab_give_a_verdict(tmp_path: Path) -> None:
    service = Service(tmp_path, three())
    test = [script.text for script in recipes.gitlab() if script.job == "test"]
    verdict = [script.text for script in recipes.gitlab() if script.job == "verdict"]
    place = service.checkout("verdict")
    for number in ("1", "2", "3"):
        there = service.checkout(f"test-{number}")
        for script in test:
            assert service.run(there, script, CI_NODE_INDEX=number, CI_NODE_TOTAL="3") == 0
        subprocess.run(["cp", "-R", there / "shards", place], check=True)
    for script in verdict:
        assert service.run(place, script) == 0, (place / "output").read_text()
    assert (place / "verdict" / "junit.xml").is_file()
    assert "test --matrix passthrough,defrag --shard 3/3" in service.log.read_text()


@pytest.mark.slow
def test_lines_for_jenkins_give_a_verdict(tmp_path: Path) -> None:
    service = Service(tmp_path, three())
    test, keep, merge = [script.text for script in recipes.jenkins()]
    place = service.checkout("verdict")
    for number in ("1", "2", "3"):
        there = service.checkout(f"test-{number}")
        assert service.run(there, test, SHARD=number) == 0
        assert service.run(there, keep, SHARD=number) == 0
        subprocess.run(["cp", "-R", there / f"shard-{number}", place], check=True)
    assert service.run(place, merge) == 0, (place / "output").read_text()


def test_cron_says_nothing_of_a_pass_and_the_status_of_a_failure(tmp_path: Path) -> None:
    (script,) = recipes.cron()
    service = Service(tmp_path, [])
    place = service.checkout("night")
    (place / "build").mkdir()
    text = script.text.replace("cd /srv/divert-sockets", "true").replace("git pull", "true")
    (place / "inv").write_text("#!/bin/sh\necho all passed\n")
    assert service.run(place, text) == 0
    assert (place / "output").read_text() == ""
    (place / "inv").write_text("#!/bin/sh\necho a test failed\nexit 1\n")
    service.run(place, text)
    assert (place / "output").read_text() == "status 1\na test failed\n"


def test_environment_for_later_steps_is_written_down(tmp_path: Path) -> None:
    service = Service(tmp_path, [])
    place = service.checkout("test")
    (script,) = [s.text for s in recipes.github() if "GITHUB_ENV" in s.text]
    assert service.run(place, script) == 0
    told = (place / "environment").read_text()
    assert told == f"DIVERT_CACHE={place}/.cache/divert-sockets\n"
