# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's argument list, as a pure function of what the guest is to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.guest import blocks
from harness.matrix import kernels
from harness.matrix.kernels import Hardware
from harness.network import addresses

# That of the reference; what has one machine for all has this one.
PLAIN = kernels.load()[kernels.REFERENCE].hardware
PROGRAM = PLAIN.program

# The descriptor set under which QEMU finds the file for snapshots, as /dev/fdset/1.
SNAPSHOT_FDSET = 1

# Translated code of 2.2.12 and its programs takes a few MiB; QEMU's default is a gigabyte.
TRANSLATION_MIB = 64


@dataclass(frozen=True)
class QemuSpec:
    """One QEMU. Its console is its standard input and output; the rest are open descriptors.

    `traced` are the addresses whose blocks are logged to `trace_file` from the start on, as
    -dfilter has them (harness.guest.blocks).

    `gdb_fd` is a socket on which somebody listens already: a debugger that connects to it stops the
    guest (QEMU's gdbstub). `stopped`: it begins when it is told to.

    `qmp_fd` and `shell_fd` are ends of stream socket pairs, `wire_fds` of datagram socket pairs
    (one datagram is one Ethernet frame), `snapshot_fd` an empty file. What has no descriptor is
    left out of the machine, as the accelerator's probe does.
    """

    kernel: Path
    accelerator: str
    memory_mib: int
    initrd: Path | None = None
    qmp_fd: int | None = None
    shell_fd: int | None = None
    snapshot_fd: int | None = None
    wire_fds: tuple[int, ...] = ()
    append: str = ""
    hardware: Hardware = PLAIN
    traced: str = ""
    trace_file: Path | None = None
    gdb_fd: int | None = None
    stopped: bool = False

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that QEMU has to inherit."""
        single = (self.qmp_fd, self.shell_fd, self.snapshot_fd, self.gdb_fd)
        return (*(fd for fd in single if fd is not None), *self.wire_fds)


def arguments(spec: QemuSpec) -> list[str]:
    """The command line for `spec`, QEMU's name first."""
    return [
        spec.hardware.program,
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-machine", "pc", "-accel", _accelerator(spec)),
        *(("-cpu", spec.hardware.cpu) if spec.hardware.cpu else ()),
        *_processors(spec.hardware),
        *("-m", str(spec.memory_mib)),
        # With panic=1 below, a panic ends QEMU after a second, with status 0.
        "-no-reboot",
        *("-kernel", str(spec.kernel)),
        *(("-initrd", str(spec.initrd)) if spec.initrd else ()),
        *("-append", _append(spec)),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *_shell(spec.shell_fd),
        *_management(spec.hardware.card),
        *_wires(spec.hardware.card, spec.wire_fds),
        *_monitor(spec.qmp_fd),
        *_snapshots(spec.snapshot_fd),
        *_trace(spec),
        *_debugger(spec.gdb_fd),
        *(("-S",) if spec.stopped else ()),
    ]


def _accelerator(spec: QemuSpec) -> str:
    if spec.accelerator != "tcg":
        return spec.accelerator
    # A thread for each processor, the default, only adds locking where there can be but one.
    thread = "multi" if _processors(spec.hardware) else "single"
    return f"tcg,thread={thread},tb-size={TRANSLATION_MIB}"


def _processors(hardware: Hardware) -> tuple[str, ...]:
    """TCG leaves out a guest's memory barriers where there can be only one processor.

    But a virtio card is another thread's, and without them it misses, once in some hundred thousand
    packets, that there is one to send (seen; tcg_gen_mb of QEMU's tcg/tcg-op.c); then it sends no
    more. So its machine has room for a second one.
    """
    count = hardware.processors
    most = max(count, 2) if hardware.card.startswith("virtio") else count
    # The table by which 2.2.12 finds processors has one of each socket.
    return ("-smp", f"{count},sockets={most},maxcpus={most}") if most > 1 else ()


def _append(spec: QemuSpec) -> str:
    hardware = spec.hardware
    several = hardware.append_several if hardware.processors > 1 else ()
    return " ".join([*hardware.append, *several, *spec.append.split()])


def _management(card: str) -> list[str]:
    # Port 0: the kernel picks one that is free, and QMP's `info usernet` tells it.
    netdev = "user,id=management,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"
    return [
        *("-netdev", netdev),
        *("-device", f"{card},netdev=management,mac={addresses.MANAGEMENT_MAC}"),
    ]


def _wires(card: str, descriptors: tuple[int, ...]) -> list[str]:
    # The order of the cards here is the order of eth1, eth2 in the guest.
    words: list[str] = []
    for link, fd in zip(addresses.LINKS, descriptors, strict=False):
        words += ["-netdev", f"dgram,id={link.name},local.type=fd,local.str={fd}"]
        words += ["-device", f"{card},netdev={link.name},mac={link.guest_mac}"]
    return words


def _shell(fd: int | None) -> list[str]:
    if fd is None:
        return []
    return ["-chardev", f"socket,id=shell,fd={fd}", "-serial", "chardev:shell"]


def _monitor(fd: int | None) -> list[str]:
    if fd is None:
        return []
    return ["-chardev", f"socket,id=qmp,fd={fd}", "-mon", "chardev=qmp,mode=control"]


def _trace(spec: QemuSpec) -> list[str]:
    if not spec.traced:
        return []
    return ["-dfilter", spec.traced, "-d", blocks.WORDS, "-D", str(spec.trace_file)]


def _debugger(fd: int | None) -> list[str]:
    if fd is None:
        return []
    # Not -gdb tcp: or unix: by itself, which would listen where others may connect.
    words = f"socket,id=debugger,fd={fd},server=on,wait=off"
    return ["-chardev", words, "-gdb", "chardev:debugger"]


def _snapshots(fd: int | None) -> list[str]:
    return [] if fd is None else ["-add-fd", f"fd={fd},set={SNAPSHOT_FDSET}"]
