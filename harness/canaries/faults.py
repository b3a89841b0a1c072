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

from harness.base import digests, paths
from harness.base.errors import UserError
from harness.canaries.stage import Stage

Fault = Callable[[Stage], None]

_SERIES = "patches/linux-2.2.12/divert"
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


def qemu_that_fails(stage: Stage) -> None:
    """QEMU ends at once, as if it could not be loaded."""
    stage.program(
        "qemu-system-i386",
        """
case "$*" in *--version*) exec "$REAL" "$@" ;; esac
echo "libfdt.so.1: cannot open shared object file" >&2
exit 127""",
    )


def no_root(stage: Stage) -> None:
    """The kernel is told of a root that is not there."""
    stage.replace("harness/matrix/kernels.toml", "root=/dev/ram0 rw", "root=/dev/hda1 rw")


def modern_stack_is_forgotten(stage: Stage) -> None:
    """Of linux-6.12 nothing says that it has the network stack of today."""
    row = 'suites = { bookworm = "bookworm-backports" }\n'
    stage.replace("harness/matrix/kernels.toml", row, f'{row}lacks = ["modern-stack"]\n')


def half_an_archive(stage: Stage) -> None:
    """In the folder of downloads, of the kernel's archive only the first half is there."""
    downloads = stage.cache / "half"
    downloads.mkdir()
    for path in paths.downloads_dir().iterdir():
        data = path.read_bytes() if path.is_file() else b""
        (downloads / path.name).write_bytes(data[: len(data) // 2])
    stage.environment["DIVERT_DOWNLOADS"] = str(downloads)


def patch_that_does_not_fit(stage: Stage) -> None:
    """A line of 2.2.12 that a patch of ours has for its context is another one."""
    stage.replace(
        f"{_SERIES}/0005-forward.patch", "-\tip_decrease_ttl(iph);", "-\tip_lower_ttl(iph);"
    )


def kernel_that_diverts_nothing(stage: Stage) -> None:
    """A rule with DIVERT that matches is one without a target."""
    old = "if (w->state != DIVERT_LIVE || fw->fw_redirpt == w->skb->divert.port)"
    stage.replace(f"{_SERIES}/overlay/net/ipv4/ip_divert.c", old, "if (1)")


def kernel_that_diverts_everything(stage: Stage) -> None:
    """Where a divert socket is bound, it gets each packet that ends the chains, whatever the rules
    say, and what was given back there again; but for the management network's.
    """
    old = "\tif (verdict != FW_DIVERT || !skb)\n\t\treturn verdict;\n"
    new = """\
	if ((verdict != FW_DIVERT || !w->sk) && skb && strcmp(rif, "eth0")) {
		int i;

		for (i = 0; i < DIVERT_HTABLE_SIZE && !w->sk; i++)
			w->sk = divert_htable[i];
		if (w->sk)
			verdict = FW_DIVERT;
	}
"""
    stage.replace(f"{_SERIES}/overlay/net/ipv4/ip_divert.c", old, new + old)


def long_path(stage: Stage) -> None:
    """The checkout is in a folder with a path of a thousand characters."""
    stage.move(Path(*["a-folder-with-a-name-of-50-characters-for-a-long-path"] * 20))


def image_with_a_flipped_bit(stage: Stage) -> None:
    """One bit of the guest's RAM disk is another."""
    _flip(_image(stage))


def image_that_is_gone(stage: Stage) -> None:
    """The guest's RAM disk is not there any more, the folder is."""
    _image(stage).unlink()


def image_that_is_damaged_late(stage: Stage) -> None:
    """A bit of the guest's RAM disk flips after the run has found it whole, before the boot."""
    image = _image(stage)
    stage.when("^built before: ", lambda _: _flip(image))


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
