# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of canaries.toml break a guest with."""

from __future__ import annotations

from harness.base.errors import InfrastructureError
from harness.guest.machine import Machine
from harness.guest.shell import Shell

# 2.2.12 maps all of its memory from here on.
_PAGE_OFFSET = 0xC0000000
# A system call that nobody else makes meanwhile, and what makes it.
_FUNCTION, _CALL = "sys_sethostname", "hostname canary"


def address(guest: Machine, symbol: str) -> int:
    """Where 2.2.12 has a symbol. Raises InfrastructureError if it has none of this name."""
    file = guest.spec.system_map
    for line in file.read_text().splitlines() if file is not None else ():
        value, _, name = line.split()
        if name == symbol:
            return int(value, 16)
    raise InfrastructureError(f"the kernel has no symbol {symbol}")


def run_in_kernel(guest: Machine, shell: Shell, code: bytes) -> None:
    """Have 2.2.12 run machine code (i386) in a system call, through /dev/mem; wait for its end."""
    change(guest, shell, _FUNCTION, code)
    shell.check(_CALL)


def start_in_kernel(guest: Machine, shell: Shell, code: bytes) -> None:
    """As `run_in_kernel`, but wait only for its begin."""
    change(guest, shell, _FUNCTION, code)
    shell.start(_CALL)


def change(guest: Machine, shell: Shell, function: str, code: bytes) -> None:
    """Have a function of 2.2.12 begin with other machine code (i386), through /dev/mem."""
    escaped = "".join(f"\\{byte:03o}" for byte in code)
    at = address(guest, function) - _PAGE_OFFSET
    shell.check(f"printf '{escaped}' | dd of=/dev/mem bs=1 seek={at} 2>/dev/null")


def call(guest: Machine, function: str, argument: str) -> bytes:
    """Code that calls a function of the kernel with the address of a symbol, and returns 0."""
    to, what = (address(guest, name).to_bytes(4, "little") for name in (function, argument))
    # push what; mov to, %eax; call *%eax; pop %eax; xor %eax, %eax; ret
    return b"\x68" + what + b"\xb8" + to + b"\xff\xd0\x58\x31\xc0\xc3"


# cli; jmp to itself: not even the timer's interrupt comes through.
HANG = b"\xfa\xeb\xfe"
# sti; jmp to itself: interrupts come through, and what is done in them, such as answers to ARP.
LOOP = b"\xfb\xeb\xfe"
# ret
NOTHING = b"\xc3"
# ud2
INVALID = b"\x0f\x0b"
# push 0; push 0; lidt (%esp); int3: a trap without a table of traps is a triple fault.
RESET = b"\x6a\x00\x6a\x00\x0f\x01\x1c\x24\xcc"
