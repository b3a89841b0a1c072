# SPDX-License-Identifier: GPL-2.0-only
"""Where in the kernel a report of Linux on x86-64 says that it happened, which names functions."""

from __future__ import annotations

import re
from collections.abc import Iterable

# printk's time, and with CONFIG_PRINTK_CALLER who printed.
_TIME = r"^(?:.*\] )?\s*"
# A function, the offset in it and its length, and the module that it is of:
# `divert_take+0x12/0x340 [divert]` (lib/vsprintf.c, %pB; kernel/kallsyms.c).
_FUNCTION = r"(?P<function>[\w.$]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>\w+)[^\]]*\])?)"
# The kernel's segment is 0010 (arch/x86/include/asm/segment.h); a program's is 0023 or 0033.
_AT = re.compile(rf"\bRIP: 0010:(?:{_FUNCTION}|(?P<address>(?:0x)?[0-9a-f]+)\b)")
# A frame, as arch/x86/kernel/dumpstack.c writes it, but for one with "? ": only found on the stack.
_FRAME = re.compile(rf"{_TIME}{_FUNCTION}$")
# Those that print the calls, and are in them.
_PRINTS = re.compile(r"^(dump_stack|dump_stack_lvl|show_stack|panic)\+")


def place(lines: Iterable[str]) -> str:
    """`in function+0x1/0x2 [module]`, with the first module that called it if it is in none.

    `lines` are those of a report. Without the kernel's registers in them, as in one that only shows
    the calls, it is `called from ...` alone; empty if no line names a function.
    """
    at, module, caller, first = "", "", "", ""
    for line in lines:
        found = _AT.search(line)
        if found and not at:
            at = found["function"] or found["address"]
            module = found["module"] or ""
        frame = _FRAME.search(line)
        if frame and frame["module"] and not caller:
            caller = frame["function"]
        if frame and not first and not _PRINTS.search(frame["function"]):
            first = frame["function"]
    words = [f"in {at}"] if at else []
    if not at:
        caller = caller or first
    if caller and not module:
        words.append(f"called from {caller}")
    return ", ".join(words)
