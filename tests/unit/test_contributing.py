# SPDX-License-Identifier: GPL-2.0-only
"""CONTRIBUTING.md, done as it stands there, in a copy of this checkout."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base import paths

pytestmark = pytest.mark.slow

TEXT = (paths.ROOT / "CONTRIBUTING.md").read_text()
# A fenced text whose first line is a comment with a file's name.
EXAMPLES = dict(re.findall(r"^```[a-z]*\n# ([\w./-]+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))

ASK = """
from harness.matrix import kernelconfig, kernels, variants
rows = variants.load()
print(sorted(row.name for row in rows.values() if row.kernel == "linux-9.9"))
print(kernels.named("linux-9.9").release, kernels.named("linux-9.9").optional)
print(rows["example"].fragments, rows["example"].series)
asked = kernelconfig.compose(rows["example"].fragments)
print([(each.symbol, each.value) for each in asked if each.file == "example.config"])
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout with all that CONTRIBUTING.md adds to it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (
        "divert_reference",
        "harness",
        "tests",
        "kernel-config",
        "images",
        "patches",
        "docs",
    ):
        left = shutil.ignore_patterns("__pycache__", "unit")
        shutil.copytree(paths.ROOT / name, folder / name, ignore=left)
    shutil.copy(paths.ROOT / "README.md", folder)
    for name, text in EXAMPLES.items():
        with (folder / name).open("a") as stream:
            stream.write(text)
    return folder


def run(copy: Path, code: str) -> str:
    """What Python prints there."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_an_example_of_each() -> None:
    assert sorted(EXAMPLES) == [
        "harness/matrix/features.toml",
        "harness/matrix/kernels.toml",
        "harness/matrix/statements/p.toml",
        "harness/matrix/variants.toml",
        "kernel-config/example.config",
        "tests/guest/p_nobody/test_p_example.py",
    ]


def test_the_statement_is_known_and_proved_by_the_test(copy: Path) -> None:
    said = run(copy, "from harness.run import statementtests; statementtests.show('P5')")
    assert re.search(r"P5/next-port +D +passthrough +1 ", said), said
    assert "test_p_example.py::test_later_rule_takes_what_was_passed" in said
    assert "no test proves" not in said


def test_the_test_asks_for_fixtures_that_there_are(copy: Path) -> None:
    tree = ast.parse((copy / "tests/guest/p_nobody/test_p_example.py").read_text())
    there = {
        node.name.lstrip("_")
        for file in ("divert_reference/fixtures.py", "tests/guest/conftest.py")
        for node in ast.parse((copy / file).read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    asked = {
        argument.arg
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for argument in node.args.args
    }
    assert asked
    assert asked <= there


def test_the_kernel_has_its_variants_and_the_option_is_asked_for(copy: Path) -> None:
    variants, kernel, example, options = run(copy, ASK).splitlines()
    assert "'linux-9.9:base'" in variants
    assert "'linux-9.9:smp'" in variants
    assert kernel == "sid True"
    assert example == "('divert', 'example') ('toolchain', 'divert')"
    assert options == "[('CONFIG_IP_ROUTE_VERBOSE', 'y')]"
