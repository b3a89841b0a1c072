# SPDX-License-Identifier: GPL-2.0-only
"""R4, S11, X2. The programs of the package divert-tools, built for 64 bits as it has them.

They are linked with their C library here, since the guest has none of theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP

from divert_reference.chains import EVERY_KIND, TARGET, Chains
from divert_reference.divert import built
from divert_reference.fixtures import Listen
from divert_reference.traffic import NEAR
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.kernel import module
from harness.network.wire import Wire
from harness.release import deb_programs, deb_recipe, deb_tree
from tests.guest.support.stack import Namespace, unload

statement = pytest.mark.statement

PORT = 1234
FOLDER = f"/{deb_tree.COMMANDS}"
ECHO = built(IP(src=NEAR.host_ip, dst=NEAR.guest_ip, id=7) / ICMP(id=7) / b"tools")


@pytest.fixture(name="programs", scope="module")
def _programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The package's programs by name, and the example of divert-dev."""
    folder = tmp_path_factory.mktemp("tools")
    (recipe,) = (each for each in deb_recipe.load() if each.name == "divert-tools")
    for name, source in recipe.programs:
        deb_programs.build(source, folder / name, folder / "log", deb_programs.STATIC)
    example = deb_recipe.FOLDER / "examples" / "reinject.c"
    flags = ["-Wall", "-Wextra", f"-I{module.SOURCE / 'include'}"]
    deb_programs.compile_c(
        [example], flags, folder / "reinject", folder / "log", deb_programs.STATIC
    )
    found = {name: folder / name for name in (*dict(recipe.programs), "reinject")}
    return found | {name: deb_recipe.FOLDER / name for name in recipe.commands}


@pytest.fixture(autouse=True)
def _installed(shell: Shell, programs: dict[str, Path]) -> None:
    """They are where the package has them, and found before the guest's own."""
    shell.check(f"mkdir -p {FOLDER}")
    for name, path in programs.items():
        shell.put(path, f"{FOLDER}/{name}", mode=0o755)
        assert shell.check(f"command -v {name}").strip() == f"{FOLDER}/{name}"


def lines(shell: Shell, command: str, status: int = 0) -> list[str]:
    """What a command says, its errors too, line by line; it has to end with that status."""
    result = shell.run(command)
    assert result.status == status, result.stdout + result.stderr
    return (result.stdout + result.stderr).splitlines()


@statement("R4/wide")
def test_ipchains_of_64_bits_sets_and_saves_all_that_a_rule_has(
    shell: Shell, chains: Chains
) -> None:
    chains("-N mine")
    for words in EVERY_KIND:
        chains(f"-A {words}")
    saved = chains("-S")
    # The guest's own, of 32 bits, shows and saves the same.
    for words in ("-S", "-L -n", "-L mine -n -v -x"):
        assert shell.check(f"/sbin/ipchains {words}").split() == chains(words).split(), words
    chains.flush()
    chains("-X")
    for line in saved.splitlines():
        chains(line)
    assert chains("-S") == saved
    for words in EVERY_KIND:
        chains(f"-D {words}")
    chains("-X")
    assert [chains.rows(name) for name in ("input", "forward", "output")] == [[], [], []]


@statement("R4/wide")
def test_ipchains_of_64_bits_has_all_commands(chains: Chains) -> None:
    def targets() -> list[str]:
        return [row[TARGET] for row in chains.rows("input")]

    chains("-A input -p 99 -j ACCEPT")
    chains(f"-I input -p ICMP -j DIVERT {PORT}")
    chains("-I input 2 -p 98 -j REJECT")
    assert targets() == ["DIVERT", "REJECT", "ACCEPT"]
    chains("-R input 3 -p 99 -j DENY")
    chains("-D input 2")
    assert targets() == ["DIVERT", "DENY"]
    packet = "-p ICMP -s 192.0.2.2 8 -d 192.0.2.1 0 -i eth1"
    assert chains(f"-C input {packet}") == "diverted\n"
    chains("-P forward REJECT")
    assert "Chain forward (policy REJECT" in chains("-L forward")
    for words, status in (("-D input 9", 1), ("-L nowhere", 1), ("-A input -j DIVERT 0", 2)):
        assert chains.run(words).status == status, words


@statement("R4/wide", "X2/wide", "S11/status")
def test_what_they_set_takes_and_what_they_show_was_taken(
    shell: Shell, chains: Chains, listen: Listen, guest: Machine, near: Wire
) -> None:
    chains(f"-A input -p ICMP -j DIVERT {PORT}")
    listener = listen(PORT, "--reinject")
    near.send(IP(ECHO))
    seen = listener.next()
    assert (seen.data, seen.reinjected) == (ECHO, len(ECHO))
    guest.barrier()
    assert chains.counts("input") == [1]
    said = lines(shell, "divert status")
    assert said[0] == "module: loaded"
    assert "rules: 1, of which 1 divert" in said
    assert "no-listener: 0" in said
    place = said.index("sockets: 1")
    assert said[place + 1 :] == shell.check("cat /proc/net/divert").splitlines()[:2]
    assert said[place + 2].split() == [str(PORT), "0", "1", "0", "1"]


@statement("X2/wide")
def test_the_example_gives_back_what_it_reads(shell: Shell, chains: Chains, near: Wire) -> None:
    chains(f"-A input -p ICMP -j DIVERT {PORT}")
    process = shell.start(f"reinject {PORT}", ready="listening on divert port .*\n")
    near.send(IP(ECHO))
    process.expect(rf"^{len(ECHO)} bytes of protocol 1\n", 5)
    answer = near.expect(lambda packet: ICMP in packet and packet[ICMP].type == 0)
    assert bytes(answer[ICMP].payload) == b"tools"


@statement("S11/status")
def test_status_says_each_option_and_limit(shell: Shell) -> None:
    folder = "/proc/sys/net/ipv4/divert"
    values = {
        f"{name}: {shell.check(f'cat {folder}/{name}').strip()}"
        for name in shell.check(f"ls {folder}").split()
    }
    assert "userns: 0" in values
    assert values <= set(lines(shell, "divert status"))


@statement("S11/status")
def test_status_without_the_module(
    shell: Shell, chains: Chains, namespaces: Callable[..., Namespace]
) -> None:
    theirs = namespaces(user=True)
    assert lines(theirs.shell, "divert status", status=1) == [
        "module: loaded, but not for this network namespace (net.ipv4.divert.userns is 0)"
    ]
    unload(shell)
    assert lines(shell, "divert status", status=1) == [
        "module: not loaded (as root: modprobe divert)"
    ]
    for words in ("-L", "-A input -j ACCEPT", "-F"):
        (said,) = lines(shell, f"ipchains {words}", status=1)
        assert said.startswith("ipchains: ")
        assert said.endswith("(is the module divert loaded?)")
