# SPDX-License-Identifier: GPL-2.0-only
"""X5. Programs written for the HOWTO's ABI, in the C of their year."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from harness.base import paths
from harness.guest.shell import Shell
from harness.image import sysroot

statement = pytest.mark.statement

# What such programs include, in an order that this project's programs do not have; forth and back.
HEADERS = (
    "linux/ip_fw.h",
    "linux/icmp.h",
    "netinet/udp.h",
    "netinet/tcp.h",
    "netinet/ip.h",
    "netinet/in.h",
    "net/if.h",
    "linux/types.h",
    "sys/socket.h",
)
PROGRAM = """\
main(argc, argv)
    char **argv;
{
    struct ip_fwchange change;
    struct ip_fwnew numbered;
    struct sockaddr_in address;
    struct iphdr *header = 0;
    struct icmphdr *message = 0;
    struct tcphdr *segment = 0;
    struct udphdr *datagram = 0;

    strcpy(change.fwc_label, IP_FW_LABEL_OUTPUT);
    change.fwc_rule.ipfw.fw_redirpt = 1234;
    printf("%s %d %d %d %d %d %d %d %d %d\\n", change.fwc_label, change.fwc_rule.ipfw.fw_redirpt,
    sizeof(change), sizeof(numbered), sizeof(address), sizeof(*header), sizeof(*message),
    sizeof(*segment), sizeof(*datagram), IP_FW_APPEND);
    return 0;
}
"""


def compiled(text: str, folder: Path) -> Path:
    """The guest program of this source, compiled as the user would: `./inv cc`."""
    source = folder / "old.c"
    source.write_text(text)
    sysroot.compile_for_user(str(source), flags=["-std=gnu89", "-w"], output=str(folder / "old"))
    return folder / "old"


@statement("X5/compiles")
@pytest.mark.parametrize("order", ["forth", "back"])
def test_headers_of_kernel_and_library_go_together(
    shell: Shell, tmp_path: Path, order: str
) -> None:
    headers = HEADERS if order == "forth" else HEADERS[::-1]
    includes = "".join(f"#include <{name}>\n" for name in headers)
    shell.put(compiled(includes + PROGRAM, tmp_path), "/root/old", mode=0o755)
    # Structure sizes of 2.2.12 (tests/programs/common/firewall.h) and of the protocols' headers.
    assert shell.check("/root/old") == "output 1234 80 84 16 20 8 20 8 64\n"


@statement("X5/compiles")
def test_two_headers_alone_go_together(tmp_path: Path) -> None:
    texts = [
        f"#include <{one}>\n#include <{other}>\n"
        for one, other in itertools.permutations(HEADERS, 2)
    ]
    for number, text in enumerate(texts[::9]):
        folder = tmp_path / str(number)
        folder.mkdir()
        compiled(f"{text}main() {{ return 0; }}\n", folder)


@statement("X5/compiles")
def test_program_in_the_howtos_manner_compiles(shell: Shell, tmp_path: Path) -> None:
    text = (paths.ROOT / "tests/programs/interceptor/howto.c").read_text()
    shell.put(compiled(text, tmp_path), "/root/old", mode=0o755)
    result = shell.run("/root/old")
    assert (result.status, result.stderr) == (1, "usage: /root/old port [packets]\n")
