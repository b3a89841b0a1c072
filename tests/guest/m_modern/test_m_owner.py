# SPDX-License-Identifier: GPL-2.0-only
"""M12. Who may use the module: the machine's owner says whether users may in networks of theirs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.divert import DivertSocket
from divert_reference.programs import Calls
from divert_reference.traffic import UDP_PORT
from harness.guest.shell import Shell
from tests.guest.support.firewall import firewall, label, rule
from tests.guest.support.stack import FILES, MODULE, Namespace, present, unload

statement = pytest.mark.statement

PORT = 1234
USERNS = "/proc/sys/net/ipv4/divert/userns"
Namespaces = Callable[..., Namespace]


def open_ends(calls: Calls) -> None:
    """UDP sockets `receiver` and `sender`."""
    for name in ("receiver", "sender"):
        calls.ok("socket", name, "inet", "dgram", 17)
    calls.ok("bind", "receiver", f"in:127.0.0.1:{UDP_PORT}")


def passes(calls: Calls, body: str) -> None:
    """A datagram on the loopback that nobody takes."""
    calls.ok("sendto", "sender", f"text:{body}", f"in:127.0.0.1:{UDP_PORT}")
    assert calls.ok("poll", "receiver", "in", 3000)["result"] == 1
    row = calls.ok("recv", "receiver", 65535, "dontwait")
    assert bytes.fromhex(row["hex"]) == body.encode()


def assert_nothing(place: Namespace, name: str) -> None:
    """No socket, no options, no files."""
    assert place.calls.error("socket", name, "inet", "raw", 254) == "EPERM"
    control = firewall(place.calls)
    for option, value in (
        ("fw_append", rule("input", "DIVERT", PORT)),
        ("fw_createchain", label("mine")),
        ("fw_flush", label("input")),
        ("fw_check", b"short"),
    ):
        assert control(option, value) == "ENOPROTOOPT", option
    assert present(place.shell) == []


@statement("M12/userns")
def test_other_users_have_nothing_of_it(shell: Shell, namespaces: Namespaces) -> None:
    assert shell.check(f"cat {USERNS}").strip() == "0"
    theirs, ours = namespaces(user=True), namespaces()
    assert_nothing(theirs, "d")
    open_ends(theirs.calls)
    passes(theirs.calls, "as-without-the-module")
    # What root makes is his own, M1; and there nobody says what others have.
    assert present(ours.shell) == list(FILES)
    assert ours.shell.run(f"test -e {USERNS}").status == 1
    assert ours.shell.run("test -e /proc/sys/net/ipv4/divert/walk_budget").status == 1
    DivertSocket(ours.calls, PORT)


@statement("M12/owner", "M12/userns")
def test_owner_says_so_and_changes_his_mind(shell: Shell, namespaces: Namespaces) -> None:
    theirs = namespaces(user=True)
    open_ends(theirs.calls)
    for name in ("first", "second"):
        assert_nothing(theirs, name)
        shell.check(f"echo 1 >{USERNS}")
        assert present(theirs.shell) == list(FILES)
        assert theirs.shell.run(f"test -e {USERNS}").status == 1
        divert = DivertSocket(theirs.calls, PORT)
        theirs.chains.append(f"input -i lo -p UDP -j DIVERT {PORT}")
        theirs.calls.ok("sendto", "sender", "text:taken", f"in:127.0.0.1:{UDP_PORT}")
        taken = divert.take()
        shell.check(f"echo 0 >{USERNS}")
        assert_nothing(theirs, name)
        assert divert.refused(taken.data, taken.address) == "EPERM"
        passes(theirs.calls, "passes-the-rule-that-is-still-there")
        shell.check(f"echo 1 >{USERNS}")
        theirs.calls.ok("sendto", "sender", "text:taken", f"in:127.0.0.1:{UDP_PORT}")
        assert bytes(IP(divert.take().data)[UDP].payload) == b"taken"
        theirs.chains.flush()
        divert.close()
        passes(theirs.calls, "and-now-it-is-gone")
        shell.check(f"echo 0 >{USERNS}")
    assert present(namespaces(user=True).shell) == []
    assert shell.run(f"echo 2 >{USERNS}").status != 0


@statement("M12/owner")
def test_owner_says_so_when_it_is_loaded(shell: Shell, namespaces: Namespaces) -> None:
    theirs = namespaces(user=True)
    unload(shell)
    shell.check(f"insmod /lib/modules/{MODULE}.ko userns=1", seconds=30)
    assert shell.check(f"cat {USERNS}").strip() == "1"
    for place in (theirs, namespaces(user=True)):
        assert present(place.shell) == list(FILES)
        DivertSocket(place.calls, PORT).close()
    unload(shell)
    assert present(theirs.shell) == []
