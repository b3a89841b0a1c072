# SPDX-License-Identifier: GPL-2.0-only
"""A run as JUnit XML, for tools that read it: a test suite for each variant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from harness.record.events import Event, TestFinished
from harness.report.verdict import Verdict


def write(path: Path, events: Sequence[Event], verdict: Verdict) -> None:
    """Write the run to `path`. Why a variant failed beyond its tests is an error of
    its own, and so is what could not be built.
    """
    root = ElementTree.Element("testsuites", name="divert sockets")
    for row in verdict.variants:
        tests = [e for e in events if isinstance(e, TestFinished) and e.variant == row.variant]
        broken = [reason for reason in row.reasons if reason != f"{row.failed} failed"]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=row.variant,
            tests=str(len(tests) + len(broken)),
            failures=str(row.failed),
            errors=str(len(broken)),
            skipped=str(row.skipped),
            time=f"{row.test_seconds or 0:.3f}",
        )
        for test in tests:
            _case(suite, test)
        for reason in broken:
            case = ElementTree.SubElement(suite, "testcase", classname=row.variant, name="session")
            ElementTree.SubElement(case, "error", message=_printable(reason))
    for unbuilt in verdict.not_built:
        suite = ElementTree.SubElement(
            root, "testsuite", name=unbuilt.name, tests="1", failures="0", errors="1", skipped="0"
        )
        case = ElementTree.SubElement(suite, "testcase", classname=unbuilt.name, name="build")
        first = unbuilt.reason.partition("\n")[0]
        error = ElementTree.SubElement(case, "error", message=_printable(first))
        error.text = _printable(unbuilt.reason)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _case(suite: ElementTree.Element, test: TestFinished) -> None:
    module, _, name = test.test.partition("::")
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"{test.variant}.{Path(module).stem}",
        name=name,
        time=f"{test.seconds:.3f}",
    )
    properties = ElementTree.SubElement(case, "properties")
    for statement in test.statements:
        ElementTree.SubElement(properties, "property", name="statement", value=statement)
    if test.outcome == "failed":
        first = test.message.partition("\n")[0]
        failure = ElementTree.SubElement(case, "failure", message=_printable(first))
        failure.text = _printable(f"{test.message}\n{test.artifacts}")
    elif test.outcome == "skipped":
        ElementTree.SubElement(case, "skipped", message=_printable(test.message))


def _printable(text: str) -> str:
    # XML 1.0 has no place for most control characters, and consoles are full of them.
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
