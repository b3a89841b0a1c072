# SPDX-License-Identifier: GPL-2.0-only
"""`doctor --kvm`: whether guests can run under KVM here, tried step by step. See docs/kvm.md."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

from harness.base import terminal
from harness.base.errors import GuestError, InfrastructureError, UnavailableError
from harness.boot import bootable
from harness.boot.bootable import Bootable
from harness.guest import accelerator
from harness.host import smoke
from harness.host.smoke import StepTaken
from harness.interactive import session
from harness.matrix import variants

# linux/kvm.h, and Documentation/virt/kvm/api.rst: "Applications should refuse to run if
# KVM_GET_API_VERSION returns a value other than 12".
_GET_API_VERSION = 0xAE00
_API_VERSION = 12

_IS_TCG = "runs here use TCG, which all of this has been tried with"


def doctor(given: Sequence[str] = ()) -> None:
    """Try KVM with the base variant of each kernel of this host, and print a table of the steps.

    Raises InfrastructureError if KVM cannot be used, does not boot a kernel in time, or no kernel
    can be had; GuestError if a guest under it did not do what it has to.
    """
    if reason := accelerator.unusable() or _refused():
        raise InfrastructureError(f"KVM cannot be used: {reason}", _IS_TCG)
    folder = session.new_folder("kvm")
    taken: list[StepTaken] = []
    slow: list[str] = []
    for row in variants.select():
        if row.short == "base":
            try:
                built = bootable.build(row, given)
            except UnavailableError as error:
                terminal.say(f"{row.kernel}: NOT RUN: {error.message}")
                continue
            taken += _one(built, folder / row.kernel, slow)
    if not taken:
        raise InfrastructureError("no kernel can be had, so nothing was tried", "see: ./inv doctor")
    terminal.show(smoke.table(taken))
    terminal.show(f"guests' consoles: {folder}")
    if failed := [each for each in taken if each.failed and each.kernel not in slow]:
        raise GuestError(
            "\n".join(f"{each.kernel}, {each.step}: {each.failed}" for each in failed),
            "test without it: DIVERT_ACCELERATOR=tcg ./inv test",
        )
    if slow:
        raise InfrastructureError(f"KVM is of no use here for {', '.join(slow)}", _IS_TCG)
    terminal.show("KVM does all that the tests need of it")


def _one(built: Bootable, folder: Path, slow: list[str]) -> list[StepTaken]:
    """The steps of one kernel. It gets into `slow` where KVM is to blame, and no guest."""
    name = built.kernel.name
    folder.mkdir()
    with terminal.activity(
        f"{name}: a first boot under KVM, {accelerator.PROBE_SECONDS:g} s at most"
    ):
        hardware = built.variant.hardware
        found = accelerator.probe(built.bzimage, built.image.initrd, hardware, folder)
    if found.name != "kvm":
        if not found.crashed:
            slow.append(name)
        return [StepTaken(name, "probe", "", found.reason)]
    return [StepTaken(name, "probe", found.reason), *smoke.take(built, "kvm", folder)]


def _refused() -> str:
    """Why the host's kernel lets nobody use KVM; "" if it does."""
    try:
        fd = os.open(accelerator.KVM_DEVICE, os.O_RDWR | os.O_CLOEXEC)
        try:
            version = fcntl.ioctl(fd, _GET_API_VERSION, 0)
        finally:
            os.close(fd)
    except OSError as error:
        return f"{accelerator.KVM_DEVICE}: {error.strerror}"
    if version != _API_VERSION:
        return f"its interface is version {version}, not {_API_VERSION}"
    return ""
