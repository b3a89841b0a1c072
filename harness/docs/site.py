# SPDX-License-Identifier: GPL-2.0-only
"""The site of the documents, made by MkDocs: `./inv docs`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness.base import paths, store, terminal
from harness.base.errors import DeadlineError, InfrastructureError, TestsFailedError, UserError
from harness.docs import pages, tools

FOLDER = paths.BUILD / "docs"
CONFIGURATION = Path(__file__).with_name("mkdocs.yml")

# Some ten on two processors.
BUILD_SECONDS = 300.0

# By which a folder is known for one that may be written anew: what MkDocs leaves.
_OURS = "sitemap.xml"
# A line of MkDocs' that a person has to see.
_REMARK = re.compile(r"^(?:WARNING|ERROR) +- +(.*(?:\n +.*)*)", re.MULTILINE)


def docs(output: str | None = None) -> None:
    """`invoke docs`: make the site in `output`, and print where it begins.

    Raises UserError if `output` is no folder, or has something else in it; TestsFailedError if a
    link or an anchor leads nowhere, or a page is in no menu; what `tools.folder` raises.
    """
    folder = Path(output) if output else FOLDER
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder", "name one: --output DIR")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _OURS).exists():
        raise UserError(
            f"{folder} has something else in it, and the site is written anew each time",
            "name an empty folder, or a new one: --output DIR",
        )
    faults = build(folder)
    if faults:
        raise TestsFailedError(
            "\n".join(f"  {fault}" for fault in faults),
            "a page has to be in the menu (harness/docs/mkdocs.yml), and a link to lead somewhere",
        )
    terminal.show(f"{folder / 'index.html'}")
    terminal.say(f"to search in it, let it be served: python3 -m http.server -d {folder}")


def build(folder: Path) -> list[str]:
    """Make the site in a folder, whose content goes; what is wrong with it, in words.

    What is wrong leaves the folder as it was. Raises what `tools.folder` raises, and
    InfrastructureError if MkDocs does not come to its end.
    """
    environment = tools.environment()
    with store.disk_errors(folder):
        paths.BUILD.mkdir(exist_ok=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="docs-", dir=paths.BUILD) as name:
            stage = Path(name)
            pages.collect(stage / "pages")
            shutil.copyfile(CONFIGURATION, stage / CONFIGURATION.name)
            with terminal.activity("making the site", said=False):
                done = _mkdocs(stage, environment)
            faults = [" ".join(each.split()) for each in _REMARK.findall(done.stdout)]
            if done.returncode != 0 and not faults:
                raise InfrastructureError(
                    f"MkDocs ended with status {done.returncode}:\n{done.stdout.strip()}"
                )
            if not faults:
                shutil.rmtree(folder, ignore_errors=True)
                shutil.move(stage / "site", folder)
    return faults


def _mkdocs(stage: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-P", "-m", "mkdocs", "build", "--strict"]
    try:
        return subprocess.run(
            [*argv, "-f", stage / CONFIGURATION.name, "-d", stage / "site"],
            cwd=stage,
            env={**os.environ, **environment, "DIVERT_CHECKOUT": str(paths.ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeadlineError(f"MkDocs was still running after {BUILD_SECONDS:g} s") from error
