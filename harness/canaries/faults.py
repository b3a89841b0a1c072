# SPDX-License-Identifier: GPL-2.0-only
"""The faults that take more than a test or some lines of Python: a function each.

Each makes its fault on the stage, and its docstring says what is wrong afterwards.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.base import digests
from harness.base.errors import UserError
from harness.canaries.stage import Stage

Fault = Callable[[Stage], None]

_BUILD_SECONDS = 600.0

_HANG = """\
#include <sys/io.h>

int main(void)
{
	iopl(3);
	__asm__("cli");
	for (;;)
		;
}
"""


def qemu_that_is_killed(stage: Stage) -> None:
    """QEMU is killed, as by the kernel for want of memory, a second after its launch."""
    stage.program("qemu-system-i386", '"$REAL" "$@" & sleep 1; kill -9 $!; wait $!; kill -9 $$')


def image_with_a_flipped_bit(stage: Stage) -> None:
    """One bit of the guest's RAM disk is another."""
    _flip(_image(stage))


def image_that_is_gone(stage: Stage) -> None:
    """The guest's RAM disk is not there any more, the folder is."""
    _image(stage).unlink()


def image_that_is_damaged_late(stage: Stage) -> None:
    """A bit of the guest's RAM disk flips after the run has found it whole, before the boot."""
    image = _image(stage)
    stage.when("to be built:|built before:", lambda _: _flip(image))


def kernel_with_a_flipped_bit(stage: Stage) -> None:
    """One bit of the kernel, as it is kept, is another."""
    _flip(_kernel(stage))


def kernel_that_is_half(stage: Stage) -> None:
    """The second half of the kernel, as it is kept, is lost."""
    kernel = _kernel(stage)
    os.truncate(kernel, kernel.stat().st_size // 2)


def kernel_that_is_gone(stage: Stage) -> None:
    """The file of the kernel is not there any more, its folder is."""
    _kernel(stage).unlink()


def kernel_of_another_variant(stage: Stage) -> None:
    """Where the kernel is kept there is another one, whole."""
    mine, other = (_kernel(stage, name).parent for name in ("base", "passthrough"))
    shutil.rmtree(mine)
    shutil.copytree(other, mine)


def kernel_of_another_variant_with_its_digests(stage: Stage) -> None:
    """Where the kernel is kept there is another one, and so are the digests of that."""
    mine, other = (_kernel(stage, name).parent for name in ("base", "passthrough"))
    kernel_of_another_variant(stage)
    shutil.copyfile(digests.beside(other), digests.beside(mine))


def program_that_hangs_the_guest(stage: Stage) -> None:
    """There is a program, `hang`, that stops all of the guest without a word."""
    stage.write("hang.c", _HANG)
    stage.run(("cc", "hang.c"), _BUILD_SECONDS)


def file_too_big_for_the_guest(stage: Stage) -> None:
    """There is a file, `big`, of more than the guest's RAM disk has room for."""
    os.truncate(stage.write("big", ""), 8 << 20)


def _image(stage: Stage) -> Path:
    return Path(_built(stage, "build-image", r"(\S+/initrd\.gz)"))


def _kernel(stage: Stage, variant: str = "base") -> Path:
    kernel = Path(_built(stage, f"build-kernel --variant {variant}", r"(\S+/bzImage)"))
    return stage.own("kernel", kernel.parent.name) / kernel.name


def _built(stage: Stage, words: str, pattern: str) -> str:
    said = stage.run(words.split(), _BUILD_SECONDS).output
    found = re.search(pattern, said)
    if found is None:
        raise AssertionError(f"./inv {words} does not say {pattern}: {said}")
    return found[1]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def named(name: str) -> Fault:
    """The function of this name. Raises UserError if there is none."""
    found = globals().get(name)
    if name.startswith("_") or not callable(found) or found.__module__ != __name__:
        raise UserError(f"there is no fault {name}", "see harness/canaries/faults.py")
    fault: Fault = found
    return fault
