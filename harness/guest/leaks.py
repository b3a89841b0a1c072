# SPDX-License-Identifier: GPL-2.0-only
"""Memory of a guest that nobody can reach any more, told by its kernel (kmemleak).

Documentation/dev-tools/kmemleak.rst says what it finds. It is for a kernel with the feature
`checkers`, which has beside it the kernel's own example of a module that leaks: the answer is there
only when that leak, the newest, is told of too. So "none" is never said by a kmemleak that does not
work, or of objects that are too young to be told of (five seconds).
"""

from __future__ import annotations

import re

from harness.base.deadline import Deadline
from harness.guest.shell import Shell

# What a kernel has that can be asked; a word of features.toml.
FEATURE = "checkers"
# A scan takes seconds here, and some are needed until an object is taken for lost.
SCAN_SECONDS = 240.0
CANARY = "kmemleak-test"

_FOLDER = "/sys/kernel/debug"
_FILE = f"{_FOLDER}/kmemleak"
_SECONDS = 60.0
_OBJECT = re.compile(r"^unreferenced object .*(?:\n  .*)*", re.MULTILINE)


def begin(shell: Shell) -> None:
    """Have forgotten what is lost already: the boot's.

    Raises GuestError where nothing can be asked.
    """
    shell.check(f"grep -q ' {_FOLDER} ' /proc/mounts || mount -t debugfs none {_FOLDER}")
    _scan(shell)
    shell.check(f"echo clear >{_FILE}")


def found(shell: Shell) -> list[str]:
    """What was lost since `begin`, an entry an object, with the calls that made it.

    Raises DeadlineError if the leak that is made here is not told of within SCAN_SECONDS.
    """
    words = f"echo $$ && exec insmod /lib/modules/{CANARY}.ko"
    ours = f'comm "insmod", pid {shell.check(words).strip()},'
    deadline = Deadline(SCAN_SECONDS, "kmemleak, to tell of what has leaked")
    while ours not in "".join(told := _scan(shell)):
        deadline.check()
    return [leak for leak in told if ours not in leak]


def _scan(shell: Shell) -> list[str]:
    shell.check(f"echo scan >{_FILE}", seconds=_SECONDS)
    return _OBJECT.findall(shell.check(f"cat {_FILE}", seconds=_SECONDS))
