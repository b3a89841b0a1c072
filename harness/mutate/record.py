# SPDX-License-Identifier: GPL-2.0-only
"""Which test killed which mutant of the syntax, kept with the project: what a test has seen once,
it has to see always. `./inv mutate --record` writes it; `./inv check` tries some of it again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from harness.base.datafile import Schema
from harness.mutate.mutants import MODULE
from harness.mutate.result import Result, Verdict

DATA = Schema(dict[str, str], "harness/mutate/killed.toml")
_HEAD = """\
# SPDX-License-Identifier: GPL-2.0-only
#
# Which test killed which mutant of the module. Written by ./inv mutate --record.

"""


def read() -> dict[str, str]:
    """The tests by the mutants' names. Raises UserError if the file is no such one."""
    return DATA.read()


def write(results: Iterable[Result], there: Collection[str]) -> None:
    """Add what was killed of the module's, by a test that was seen to pass without it, and take out
    what was not killed; of mutants that are not `there` any more, by their names, too.
    """
    known = {name: test for name, test in read().items() if name in there}
    for result in results:
        if not result.name.startswith(f"{MODULE}/"):
            continue
        if result.verdict is not Verdict.KILLED:
            known.pop(result.name, None)
        elif result.confirmed:
            known[result.name] = result.test
    # A string of JSON is one of TOML.
    rows = (f"{json.dumps(name)} = {json.dumps(test)}\n" for name, test in sorted(known.items()))
    DATA.path.write_text(_HEAD + "".join(rows))
