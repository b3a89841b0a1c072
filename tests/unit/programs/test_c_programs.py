# SPDX-License-Identifier: GPL-2.0-only
"""The C programs of tests/programs, compiled with the host's gcc and run without a divert kernel.

A socket for protocol 254 is a plain raw socket here (SPEC S2), so what needs the feature is tested
in the guest; here are arguments, words, numbers, JSON, and the calls that every kernel knows.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.base import compiler
from harness.bench import load
from harness.image import guestprograms

PROGRAMS = Path(__file__).parents[2] / "programs"
TABLE = {program.name: program for program in guestprograms.load()}

# Those that include the patched kernel's headers compile in the sysroot, when the image is built.
NEEDS_KERNEL = {
    name
    for name, program in TABLE.items()
    if any("<linux/ip_fw.h>" in (PROGRAMS / source).read_text() for source in program.sources)
}
PORTABLE = sorted(set(TABLE) - NEEDS_KERNEL)

SECONDS = 20.0


def compile_c(output: Path, sources: list[Path], flags: Sequence[str]) -> str:
    """Compile with the guest's word size; returns the compiler's messages. Fails on an error."""
    command = [
        *compiler.for_32_bit(),
        "-O2",
        f"-I{PROGRAMS / 'common'}",
        *flags,
        "-o",
        str(output),
        *map(str, sources),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All portable programs, compiled as programs.toml says, and without warnings."""
    folder = tmp_path_factory.mktemp("bin")
    for name in PORTABLE:
        program = TABLE[name]
        sources = [PROGRAMS / source for source in program.sources]
        messages = compile_c(folder / name, sources, program.flags)
        assert not (program.warnings and messages), messages
    return folder


def run(
    program: Path, *arguments: str, stdin: str = "", status: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run to the end, and check the exit status."""
    done = subprocess.run(
        [program, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def answers(program: Path, script: str, status: int = 0) -> list[dict[str, Any]]:
    """What `calls` answers to a script, a dictionary a line."""
    return [
        json.loads(line) for line in run(program, stdin=script, status=status).stdout.splitlines()
    ]


def may_open_raw_sockets() -> bool:
    """Whether this process has CAP_NET_RAW."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, 254).close()
    except PermissionError:
        return False
    return True


def sources_there() -> set[str]:
    """The files in C of the guest's image: not those that tests compile, nor the host's load."""
    others = {*PROGRAMS.glob("of-the-time/*.c"), load.SOURCE}
    return {str(path.relative_to(PROGRAMS)) for path in {*PROGRAMS.rglob("*.c")} - others}


def test_the_table_names_files_that_exist_and_all_of_them() -> None:
    named = {source for program in TABLE.values() for source in program.sources}
    assert named == sources_there()


def test_only_the_program_of_the_year_2000_may_warn() -> None:
    assert [name for name, program in TABLE.items() if not program.warnings] == ["howto"]
    for name in set(TABLE) - {"howto"}:
        assert {"-Wall", "-Wextra"} <= set(TABLE[name].flags), name


@pytest.mark.parametrize("name", PORTABLE)
def test_compiles_for_a_64_bit_libc_too(name: str) -> None:
    program = TABLE[name]
    sources = [str(PROGRAMS / source) for source in program.sources]
    command = [compiler.name(), "-fsyntax-only", "-Werror", *program.flags, *sources]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("0",),
        ("65536",),
        ("http",),
        ("1234x",),
        ("-1",),
        ("1234", "5678"),
        ("--unknown", "1234"),
        ("--count", "0", "1234"),
        ("--limit", "0", "1234"),
        ("--multicast", "1.2.3", "1234"),
        ("--to", "here", "1234"),
        ("--patch", "20", "1234"),
        ("--patch", "20:0g", "1234"),
        ("--buffer", "65536", "1234"),
    ],
)
def test_the_interceptor_refuses_with_a_usage_line(
    bin_folder: Path, arguments: tuple[str, ...]
) -> None:
    done = run(bin_folder / "interceptor", *arguments, status=1)
    assert done.stderr.startswith("usage: interceptor ")
    assert not done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_interceptor_listens_until_a_signal_or_says_why_not(
    bin_folder: Path, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [bin_folder / "interceptor", "--json", "1234"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = json.loads(process.stdout.readline())
        if may_open_raw_sockets():
            assert first == {"event": "listening", "port": 1234}
            process.send_signal(number)
            status, reason = 0, number.name
        else:
            assert first["call"], first["error"] == ("socket", "EPERM")
            status, reason = 2, "error"
        last = json.loads(process.stdout.readline())
        assert last == {"event": "end", "reason": reason, "packets": 0}
        assert process.wait(SECONDS) == status


def test_what_is_built_in_needs_no_option(bin_folder: Path) -> None:
    """The built one sets a rule at once, which fails here and must be said."""
    done = run(bin_folder / "interceptor-built", "--json", "1234", status=2)
    first = json.loads(done.stdout.splitlines()[0])
    expected = "setsockopt IP_MULTICAST_IF" if may_open_raw_sockets() else "socket"
    assert (first["event"], first["call"]) == ("error", expected)


def test_calls_moves_datagrams_and_keeps_the_last_one(bin_folder: Path) -> None:
    script = """
        # a comment, and the blank lines around it, are passed over

        socket a inet dgram udp
        bind a in:127.0.0.1:0
        socket b inet dgram udp
        bind b in:127.0.0.1:0
        getsockname a
    """
    port = answers(bin_folder / "calls", script)[-1]["address"]["port"]
    script = f"""
        socket a inet dgram udp
        bind a in:127.0.0.1:{port}
        bind a in:127.0.0.1:{port}
        socket b inet dgram udp
        poll a in|out 0
        sendto b text:hello in:127.0.0.1:{port}
        poll a in 2000
        ioctl a fionread
        recvmsg a 2 peek
        recvfrom a 100
        sendto a last last
        poll b in 2000
        recv b 100
        recv b 100 dontwait
        sendto b fill:5:0102 in:127.0.0.1:{port}
        poll a in 2000
        recv a 100
    """
    got = answers(bin_folder / "calls", script)
    hello = b"hello".hex()
    assert [answer["result"] for answer in got[:3]] == [0, 0, -1]
    assert got[2]["error"] == "EINVAL"
    assert got[4]["revents"] == ["out"]
    assert got[5]["result"] == 5
    assert got[6]["revents"] == ["in"]
    assert got[7]["value"] == 5
    assert (got[8]["hex"], got[8]["flags"]) == (hello[:4], ["trunc"])
    assert (got[9]["hex"], got[9]["from"]["ip"]) == (hello, "127.0.0.1")
    assert got[10]["result"] == 5
    assert got[12]["hex"] == hello
    assert (got[13]["result"], got[13]["error"]) == (-1, "EAGAIN")
    assert got[16]["hex"] == "0102010201"


def test_calls_moves_a_stream_and_hashes_it_at_both_ends(bin_folder: Path) -> None:
    listener = "socket l inet stream tcp\nbind l in:127.0.0.1:{}\nlisten l 5\n"
    port = answers(bin_folder / "calls", listener.format(0) + "getsockname l\n")[-1]
    number = port["address"]["port"]
    client = f"socket c inet stream tcp\nconnect c in:127.0.0.1:{number}\n"
    client += "accept l s\npump c 20000\nclose c\ndrain s\n"
    script = listener.format(number).replace(
        "bind l", "setsockopt l socket reuseaddr int:1\nbind l"
    )
    pump, _, drain = answers(bin_folder / "calls", script + client)[-3:]
    assert pump["result"] == drain["result"] == 20000
    assert pump["value"] == drain["value"]


def test_calls_counts_what_it_repeats(bin_folder: Path) -> None:
    got = answers(bin_folder / "calls", "socket a inet dgram udp\nrepeat 7 recv a 10 dontwait\n")
    assert got[1] == {"call": "recv", "times": 7, "succeeded": 0, "errors": {"EAGAIN": 7}}


def test_calls_can_lose_its_capabilities(bin_folder: Path) -> None:
    got = answers(bin_folder / "calls", "capdrop all\nsocket r inet raw 254\n")
    assert got[1] == {"call": "socket", "socket": "r", "result": -1, "error": "EPERM"}


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "bind nobody in:1.2.3.4:5",
        "socket a inet",
        "socket a somewhere raw 254",
        "socket a inet dgram udp\nbind a in:1.2.3:4",
        "socket a inet dgram udp\nbind a in:1.2.3.4:65536",
        "socket a inet dgram udp\nbind a last",
        "socket a inet dgram udp\nsend a hex:abc",
        "socket a inet dgram udp\nsend a zero:999999999",
        "repeat 5",
    ],
)
def test_a_wrong_script_is_an_error_and_never_an_answer(bin_folder: Path, line: str) -> None:
    got = answers(bin_folder / "calls", line + "\n", status=1)
    assert "script_error" in got[-1]


@pytest.mark.parametrize("arguments", [("zero",), ("--port", "70000"), ("--port",)])
def test_inject_refuses_arguments_that_are_no_pairs(
    bin_folder: Path, arguments: tuple[str, ...]
) -> None:
    assert run(bin_folder / "divert-inject", *arguments, status=1).stderr.startswith("usage:")


@pytest.mark.parametrize("arguments", [("here", "45"), ("zero", "4x"), ("in:1.2.3.4", "45")])
def test_inject_refuses_words_that_are_no_packet(
    bin_folder: Path, arguments: tuple[str, ...]
) -> None:
    status = 1 if may_open_raw_sockets() else 2
    done = run(bin_folder / "divert-inject", *arguments, status=status)
    assert done.stderr.startswith("usage:" if status == 1 else "divert-inject: socket:")


def test_binders_binds_each_port_in_a_process_of_its_own(bin_folder: Path) -> None:
    done = run(bin_folder / "binders", "--per-process", "10", "1", "95")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if may_open_raw_sockets():
        assert events == [{"event": "ready", "processes": 10, "bound": 95}]
    else:
        assert events[-1] == {"event": "ready", "processes": 10, "bound": 0}
        assert {event["error"] for event in events[:-1]} == {"EPERM"}
    run(bin_folder / "binders", "65000", "537", status=1)


PROBE = """
#include "common.h"
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    unsigned long number;
    struct in_addr address;
    unsigned char bytes[4];
    int i;

    (void)argc;
    if (strcmp(argv[1], "errno") == 0)
        for (i = 1; i < 125; i++)
            printf("%d %s\\n", i, errno_name(i));
    if (strcmp(argv[1], "number") == 0)
        for (i = 2; argv[i]; i++)
            printf("%d\\n", number_read(argv[i], 1, 65535, &number) ? -1 : (int)number);
    if (strcmp(argv[1], "address") == 0)
        for (i = 2; argv[i]; i++)
            puts(address_read(argv[i], &address) ? "-" : address_text(address));
    if (strcmp(argv[1], "hex") == 0)
        for (i = 2; argv[i]; i++)
            printf("%ld\\n", hex_read(argv[i], bytes, sizeof(bytes)));
    if (strcmp(argv[1], "json") == 0)
        json_string(stdout, argv[2]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that calls the functions of common.c."""
    folder = tmp_path_factory.mktemp("probe")
    source = folder / "probe.c"
    source.write_text(PROBE)
    flags = ["-std=gnu99", "-Wall", "-Wextra", "-Werror"]
    compile_c(folder / "probe", [source, PROGRAMS / "common/common.c"], flags)
    return folder / "probe"


def test_every_errno_has_the_name_that_the_host_gives_it(probe: Path) -> None:
    lines = run(probe, "errno").stdout.splitlines()
    named = {int(number): name for number, name in (line.split() for line in lines)}
    unnamed = {number for number, name in named.items() if name == f"E{number}"}
    assert not unnamed & set(errno.errorcode)
    for number in set(named) - unnamed:
        assert getattr(errno, named[number]) == number


def test_numbers_are_read_whole_or_not_at_all(probe: Path) -> None:
    words = ["1", "65535", "0x10", "007", "0", "65536", "4294967297", "", "0x", "1 ", "-1", "1x"]
    got = run(probe, "number", *words).stdout.split()
    assert [int(number) for number in got] == [1, 65535, 16, 7, *[-1] * 8]


def test_addresses_are_four_bytes_and_nothing_else(probe: Path) -> None:
    words = ["1.2.3.4", "255.255.255.255", "256.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.", "a.b.c.d"]
    got = run(probe, "address", *words).stdout.split()
    assert got == ["1.2.3.4", "255.255.255.255", *["-"] * 5]


def test_hex_is_pairs_of_digits_that_fit(probe: Path) -> None:
    got = run(probe, "hex", "", "00ff", "AbCdEf01", "0", "0g", "0102030405").stdout.split()
    assert [int(length) for length in got] == [0, 2, 4, -1, -1, -1]


def test_strings_are_json(probe: Path) -> None:
    text = 'a "quoted" back\\slash\ttab \x01'
    assert json.loads(run(probe, "json", text).stdout) == text
    assert os.linesep not in run(probe, "json", "line\nline").stdout


NEAR, FAR = "tap0,52:54:00:00:03:01,198.18.0.2", "dummy0,198.18.1.2"
LOAD = ["--bytes", "64", "--window", "64", "--milliseconds", "1"]


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("bench-reinject", []),
        ("bench-reinject", ["0"]),
        ("bench-reinject", ["--batch", "65", "1000"]),
        ("bench-nfqueue", ["input"]),
        ("bench-nfqueue", ["sideways", "1"]),
        ("bench-nfqueue", ["input", "65536"]),
        ("bench-nfqueue", ["--batch", "0", "input", "1"]),
        ("bench-nfqueue", ["--batch", "32", "input"]),
        ("bench-wires", []),
        ("bench-wires", ["--make"]),
        ("bench-wires", ["--make", "a-name-of-sixteen"]),
        ("bench-wires", ["--far", FAR, *LOAD]),
        ("bench-wires", ["--near", NEAR, "--far", FAR, *LOAD, "--patience"]),
        ("bench-wires", ["--near", "tap0,52:54:00:00:03:01", "--far", FAR, *LOAD]),
        ("bench-wires", ["--near", "tap0,52:54:00:00:03,1.2.3.4", "--far", FAR, *LOAD]),
        ("bench-wires", ["--near", NEAR, "--far", "dummy0,here", *LOAD]),
        ("bench-wires", ["--near", NEAR, "--far", FAR, *LOAD, "--window", "65"]),
        # More than 64 frames.
        ("bench-wires", ["--near", NEAR, "--far", FAR, *LOAD, "--bytes", "4000", "--window", "22"]),
    ],
)
def test_the_programs_of_benchmarks_refuse_what_they_do_not_know(
    bin_folder: Path, program: str, arguments: list[str]
) -> None:
    done = run(bin_folder / program, *arguments, status=1)
    assert done.stderr.startswith(f"usage: {program} ")
    assert not done.stdout
