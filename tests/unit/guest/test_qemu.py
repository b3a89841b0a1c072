# SPDX-License-Identifier: GPL-2.0-only
"""The argument list of QEMU says what the machine is, and nothing depends on the host."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from harness.guest.qemu import QemuSpec, arguments
from harness.matrix import kernels
from harness.network import addresses

SPEC = QemuSpec(
    kernel=Path("/k/bzImage"),
    accelerator="tcg",
    memory_mib=64,
    initrd=Path("/i/initrd.gz"),
    qmp_fd=5,
    shell_fd=6,
    snapshot_fd=7,
    wire_fds=(8, 9),
)


def options(words: list[str], name: str) -> list[str]:
    """The values of every `name` on a command line."""
    return [value for option, value in itertools.pairwise(words) if option == name]


def test_three_cards_are_in_the_guest_s_order() -> None:
    cards = [card for card in options(arguments(SPEC), "-device") if card.startswith("tulip")]
    assert cards == [
        f"tulip,netdev=management,mac={addresses.MANAGEMENT_MAC}",
        "tulip,netdev=wire0,mac=52:54:00:00:01:01",
        "tulip,netdev=wire1,mac=52:54:00:00:02:01",
    ]


def test_management_reaches_nothing_but_this_host_s_own_address() -> None:
    (user,) = [each for each in options(arguments(SPEC), "-netdev") if each.startswith("user")]
    assert "restrict=on" in user
    assert "hostfwd=tcp:127.0.0.1:0-:22" in user


def test_wires_are_inherited_descriptors() -> None:
    wires = [each for each in options(arguments(SPEC), "-netdev") if each.startswith("dgram")]
    assert wires == [
        "dgram,id=wire0,local.type=fd,local.str=8",
        "dgram,id=wire1,local.type=fd,local.str=9",
    ]
    assert SPEC.descriptors == (5, 6, 7, 8, 9)


def test_processor_is_the_hardwares_or_qemus_own() -> None:
    assert not options(arguments(replace(SPEC, hardware=replace(SPEC.hardware, cpu=""))), "-cpu")
    modern = replace(SPEC, hardware=replace(SPEC.hardware, cpu="qemu64,+rdrand"))
    assert options(arguments(modern), "-cpu") == ["qemu64,+rdrand"]


def test_machine_with_virtio_cards_has_memory_barriers() -> None:
    """TCG has them only where there may be two processors; another thread serves the cards."""
    virtio = replace(SPEC, hardware=replace(SPEC.hardware, card="virtio-net-pci,romfile="))
    words = arguments(virtio)
    assert options(words, "-smp") == ["1,sockets=2,maxcpus=2"]
    assert options(words, "-accel") == ["tcg,thread=multi,tb-size=64"]


@pytest.mark.parametrize("accelerator", ["tcg", "kvm"])
def test_processor_is_a_model_with_a_name_under_either_accelerator(accelerator: str) -> None:
    """`host` and `max` would be another on each host, and `host` cannot be saved everywhere.

    Of a model with a name KVM has the host's vendor (host_cpu_instance_init) unless one is given;
    2.2.12 does other things for another one.
    """
    for row in kernels.load().values():
        spec = replace(SPEC, accelerator=accelerator, hardware=row.hardware)
        (cpu,) = options(arguments(spec), "-cpu")
        assert cpu.split(",")[0] in {"qemu32", "qemu64"}
        assert ("vendor=GenuineIntel" in cpu) == (row.name == kernels.REFERENCE)


def test_panic_and_reboot_end_qemu() -> None:
    words = arguments(SPEC)
    (append,) = options(words, "-append")
    assert "-no-reboot" in words
    # 2.2.12 reboots after a panic only if the value is above 0.
    assert "panic=1" in append.split()


def test_first_serial_port_is_the_console_and_the_second_the_shell() -> None:
    words = arguments(SPEC)
    assert options(words, "-serial") == ["chardev:console", "chardev:shell"]
    assert "console=ttyS0" in options(words, "-append")[0].split()
    assert "stdio,id=console,signal=off" in options(words, "-chardev")


@pytest.mark.parametrize(
    ("accelerator", "expected"), [("tcg", "tcg,thread=single,tb-size=64"), ("kvm", "kvm")]
)
def test_accelerator(accelerator: str, expected: str) -> None:
    spec = QemuSpec(Path("k"), accelerator, 64)
    assert options(arguments(spec), "-accel") == [expected]


def test_what_has_no_descriptor_is_left_out() -> None:
    words = arguments(QemuSpec(Path("k"), "kvm", 64))
    assert not {"-mon", "-add-fd", "-initrd"} & set(words)
    assert options(words, "-serial") == ["chardev:console"]
    assert len(options(words, "-netdev")) == 1


def test_append_goes_to_the_end() -> None:
    words = arguments(QemuSpec(Path("k"), "tcg", 64, append=" root=0200  quiet "))
    assert options(words, "-append")[0].endswith("panic=1 debug root=0200 quiet")


def test_nothing_of_the_host_s_configuration_is_read() -> None:
    words = arguments(SPEC)
    assert {"-nodefaults", "-no-user-config"} <= set(words)
    assert options(words, "-display") == ["none"]


def test_two_processors_have_a_thread_each() -> None:
    words = arguments(replace(SPEC, hardware=replace(SPEC.hardware, processors=2)))
    assert options(words, "-smp") == ["2,sockets=2,maxcpus=2"]
    assert options(words, "-accel") == ["tcg,thread=multi,tb-size=64"]
    assert "-smp" not in arguments(SPEC)


def test_command_line_for_several_processors() -> None:
    assert "noapic" not in options(arguments(SPEC), "-append")[0].split()
    two = replace(SPEC, hardware=replace(SPEC.hardware, processors=2))
    assert "noapic" in options(arguments(two), "-append")[0].split()


def test_debugger_comes_by_an_inherited_socket_or_not_at_all() -> None:
    """No port, and no path that QEMU would make for others to connect to."""
    assert not options(arguments(SPEC), "-gdb")
    spec = replace(SPEC, gdb_fd=10)
    assert options(arguments(spec), "-gdb") == ["chardev:debugger"]
    assert "socket,id=debugger,fd=10,server=on,wait=off" in options(arguments(spec), "-chardev")
    assert 10 in spec.descriptors
