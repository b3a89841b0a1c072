# SPDX-License-Identifier: GPL-2.0-only
"""KVM or TCG: KVM only where a timed probe has shown that it boots this kernel."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.base import fingerprint, store
from harness.base.errors import DeadlineError, UserError
from harness.base.owntime import OwnDeadline
from harness.guest import qemu
from harness.guest.console import Console
from harness.guest.emulator import Emulator
from harness.matrix.kernels import Hardware

KVM_DEVICE = Path("/dev/kvm")
READY_MARK = r"^DIVERT-GUEST-READY"

# TCG needs 1 s; where KVM needs longer than this it is an emulation itself, and no gain.
PROBE_SECONDS = 4.0

_VERSION_SECONDS = 20.0


# From the environment: `tcg` or `kvm`, whatever a probe would say.
CHOICE = "DIVERT_ACCELERATOR"


@dataclass(frozen=True)
class Accelerator:
    """What executes the guest, `kvm` or `tcg`, and why it was chosen.

    `crashed`: there was a guest under KVM, and it did not survive.
    """

    name: str
    reason: str
    crashed: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def choose(kernel: Path, initrd: Path, hardware: Hardware = qemu.PLAIN) -> Accelerator:
    """The accelerator for a guest of `kernel` and `initrd`.

    Costs nothing where KVM cannot be had, or the environment has the choice; else a boot, once a
    boot of the host, version of QEMU, machine and release of the guest's kernel; the answer is kept
    in the cache. Raises UserError for a choice that is none.
    """
    chosen = os.environ.get(CHOICE, "")
    if chosen not in ("", "tcg", "kvm"):
        raise UserError(f"{CHOICE}={chosen}: there is no such accelerator", "known: tcg, kvm")
    if chosen:
        return Accelerator(chosen, f"{CHOICE} says so")
    if reason := unusable():
        return Accelerator("tcg", reason)

    def kept(folder: Path) -> None:
        answer = probe(kernel, initrd, hardware, folder)
        (folder / "answer.json").write_text(json.dumps(asdict(answer)))

    key = fingerprint.of_bytes(*_circumstances(kernel, hardware))
    entry = store.obtain("accelerator", key, kept, "the answer whether KVM works")
    return Accelerator(**json.loads((entry.path / "answer.json").read_text()))


def unusable() -> str:
    """Why this process cannot use KVM's device, and what to do; "" if it can."""
    if not KVM_DEVICE.exists():
        return f"there is no {KVM_DEVICE}: no virtualization, or it is not passed on to here"
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return f"{KVM_DEVICE} is not for this user: be in the group kvm"
    return ""


def kernel_release(kernel: Path) -> str:
    """The release of a bzImage, as `2.2.12`; empty if the file does not tell.

    Documentation/i386/boot.txt: `HdrS` at 0x202, and at 0x20e the offset of the text less 0x200.
    """
    with kernel.open("rb") as stream:
        head = stream.read(0x10000)
    if head[0x202:0x206] != b"HdrS":
        return ""
    begin = int.from_bytes(head[0x20E:0x210], "little") + 0x200
    words = head[begin : head.find(b"\0", begin)].decode(errors="replace").split()
    return words[0] if words else ""


def _circumstances(kernel: Path, hardware: Hardware) -> list[str]:
    """What the answer depends on: this boot of the host, QEMU, the machine, the guest's kernel."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    version = _qemu_version(hardware.program)
    return [boot, platform.release(), version, repr(hardware), kernel_release(kernel)]


def _qemu_version(program: str) -> str:
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, timeout=_VERSION_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(rb"version (\S+)", said)
    return match[1].decode() if match else ""


def probe(kernel: Path, initrd: Path, hardware: Hardware, folder: Path) -> Accelerator:
    """Boot a guest under KVM, in PROBE_SECONDS of QEMU's own time; what it says goes to `folder`.

    The time in which it waits for a processor is not KVM's: a busy host would else be without.
    """
    spec = qemu.QemuSpec(kernel, "kvm", hardware.memory_mib, initrd=initrd, hardware=hardware)
    with ExitStack() as stack:
        emulator = Emulator(spec, folder / "qemu.log")
        stack.callback(emulator.close)
        console = Console(emulator.console_fd, folder / "console.log")
        stack.callback(console.stop)
        stack.callback(emulator.kill)
        try:
            deadline = OwnDeadline(PROBE_SECONDS, "boot under KVM", emulator.process.pid)
            ready = console.wait_for(READY_MARK, deadline)
        except DeadlineError:
            return Accelerator("tcg", f"KVM did not boot this kernel in {PROBE_SECONDS:g} s")
        if ready:
            return Accelerator("kvm", f"booted this kernel in {ready.seconds:.1f} s")
        said = console.crash.words if console.crash else emulator.messages()
        # QEMU that ends without a word had a guest, which has ended it.
        crashed = console.crash is not None or not said
        return Accelerator(
            "tcg", f"KVM did not boot this kernel: {said or 'the guest reset'}", crashed
        )
