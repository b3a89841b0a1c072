# SPDX-License-Identifier: GPL-2.0-only
"""The shell lines of the recipes for CI services, job by job."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from harness.base import paths

GITHUB = paths.ROOT / ".github" / "workflows" / "ci.yml"
GITLAB = paths.ROOT / "docs" / "ci" / "gitlab-ci.yml"
JENKINS = paths.ROOT / "docs" / "ci" / "Jenkinsfile"
CRON = paths.ROOT / "docs" / "ci" / "crontab"

_EXPRESSION = re.compile(r"\$\{\{ *(.+?) *\}\}")


@dataclass(frozen=True)
class Script:
    """What one step of a job gives to a shell."""

    file: Path
    job: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.name}-{self.job}"


def load(file: Path) -> Any:
    """What a file of YAML has."""
    return YAML(typ="safe").load(file.read_text())


def every() -> list[Script]:
    """All shell lines of all recipes."""
    return [*github(), *gitlab(), *jenkins(), *cron()]


def github(known: Mapping[str, str] | None = None) -> Iterator[Script]:
    """Those of the workflow, with `known` values for its expressions, or 1 for each."""
    for name, job in load(GITHUB)["jobs"].items():
        for step in job["steps"]:
            if "run" in step:
                text = _EXPRESSION.sub(lambda found: (known or {}).get(found[1], "1"), step["run"])
                yield Script(GITHUB, name, text)


def gitlab() -> Iterator[Script]:
    recipe = load(GITLAB)
    before = recipe["default"]["before_script"]
    for name, job in recipe.items():
        if isinstance(job, dict) and "script" in job:
            yield Script(GITLAB, name, "\n".join([*before, *job["script"]]))
            if "after_script" in job:
                yield Script(GITLAB, name, "\n".join(job["after_script"]))


def jenkins() -> Iterator[Script]:
    for number, text in enumerate(re.findall(r"sh '''\n(.*?)'''", JENKINS.read_text(), re.S)):
        yield Script(JENKINS, f"sh {number + 1}", textwrap.dedent(text))


def cron() -> Iterator[Script]:
    for line in CRON.read_text().splitlines():
        if not line.startswith("#"):
            yield Script(CRON, "night", line.split(maxsplit=5)[5])
