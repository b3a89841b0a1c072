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
from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError
from harness.guest import qemu
from harness.guest.console import Console
from harness.guest.emulator import Emulator
from harness.matrix.kernels import Hardware

KVM_DEVICE = Path("/dev/kvm")
READY_MARK = r"^DIVERT-GUEST-READY"

# TCG needs 1 s; where KVM needs longer than this it is an emulation itself, and no gain.
PROBE_SECONDS = 4.0

_VERSION_SECONDS = 20.0


@dataclass(frozen=True)
class Accelerator:
    """What executes the guest, `kvm` or `tcg`, and why it was chosen."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


def choose(kernel: Path, initrd: Path, hardware: Hardware = qemu.PLAIN) -> Accelerator:
    """The accelerator for a guest of `kernel` and `initrd`.

    Costs nothing where KVM cannot be had, else a boot, once a boot of the host, version of QEMU and
    release of the guest's kernel; the answer is kept in the cache.
    """
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        return Accelerator("tcg", f"{KVM_DEVICE} cannot be used")

    spec = qemu.QemuSpec(kernel, "kvm", hardware.memory_mib, initrd=initrd, hardware=hardware)

    def probe(folder: Path) -> None:
        answer = _probe(spec, folder)
        (folder / "answer.json").write_text(json.dumps(asdict(answer)))

    key = fingerprint.of_bytes(*_circumstances(kernel))
    entry = store.obtain("accelerator", key, probe, "the answer whether KVM works")
    return Accelerator(**json.loads((entry.path / "answer.json").read_text()))


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


def _circumstances(kernel: Path) -> list[str]:
    """What the answer depends on: this boot of the host, QEMU, and the guest's kernel."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return [boot, platform.release(), _qemu_version(), kernel_release(kernel)]


def _qemu_version() -> str:
    try:
        said = subprocess.run(
            [qemu.PROGRAM, "--version"], capture_output=True, timeout=_VERSION_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    match = re.search(rb"version (\S+)", said)
    return match[1].decode() if match else ""


def _probe(spec: qemu.QemuSpec, folder: Path) -> Accelerator:
    with ExitStack() as stack:
        emulator = Emulator(spec, folder / "qemu.log")
        stack.callback(emulator.close)
        console = Console(emulator.console_fd, folder / "console.log")
        stack.callback(console.stop)
        stack.callback(emulator.kill)
        try:
            ready = console.wait_for(READY_MARK, Deadline(PROBE_SECONDS, "boot under KVM"))
        except DeadlineError:
            return Accelerator("tcg", f"KVM did not boot this kernel in {PROBE_SECONDS:g} s")
        if ready:
            return Accelerator("kvm", f"booted this kernel in {ready.seconds:.1f} s")
        said = console.crash.words if console.crash else emulator.messages() or "the guest reset"
        return Accelerator("tcg", f"KVM did not boot this kernel: {said}")
