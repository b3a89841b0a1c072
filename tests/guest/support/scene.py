# SPDX-License-Identifier: GPL-2.0-only
"""What a table's rows say of a guest, done: a step is a line of words, as of ip(8) and nft(8)."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from divert_reference.programs import Calls
from divert_reference.traffic import NUMBERS
from harness.guest import agent
from harness.guest.shell import Shell
from tests.guest.support import ipsec, nft, stack
from tests.guest.support.ipsec import ANY, Ipsec, Selected
from tests.guest.support.netlink import ACK, NETFILTER, Links, Netlink, message
from tests.guest.support.nft import Nft
from tests.guest.support.policy import Policy
from tests.guest.support.stack import Namespace

# Modules that a row can name together, besides those of single names.
_TOGETHER = {
    "NFTABLES": stack.NFTABLES,
    "CONNTRACK": (*stack.CONNTRACK, "nft_ct", "nf_conntrack_netlink"),
    "NAT": (*stack.NAT, "nft_ct", "nf_conntrack_netlink"),
    "VLAN": stack.VLAN,
    "BRIDGE": stack.BRIDGE,
    "IPSEC": ipsec.MODULES,
}
_TRACKED = ("udp", "tcp", "unknown")
_OF_AGENT = f"dport={agent.PORT}"
_CONNTRACK_DELETE = 1 << 8 | 2

# What a rule of nftables is made of, by the word that begins it, and how many words follow.
_EXPRESSIONS: dict[str, tuple[int, Callable[..., bytes]]] = {
    "counter": (0, lambda: nft.COUNTER),
    "drop": (0, lambda: nft.DROP),
    "masquerade": (0, lambda: nft.MASQUERADE),
    "protocol": (1, lambda word: nft.protocol(NUMBERS[word])),
    "daddr": (1, nft.destination),
    "dnat": (1, nft.dnat),
    "ether-saddr": (1, nft.ether_source),
    "meta": (2, nft.meta),
    "mark-set": (1, lambda word: nft.set_mark(int(word, 0))),
    "ct": (2, nft.ct),
    "notrack": (0, lambda: nft.NOTRACK),
    "ct-set": (2, lambda key, word: nft.set_ct(key, int(word, 0))),
}


class Scene:
    """A network namespace, as far as steps have changed it: the guest's own, and maybe another."""

    def __init__(
        self, shell: Shell, calls: Calls, namespaces: Callable[[], Namespace] | None = None
    ) -> None:
        self.there: Namespace | None = None
        self._shell = shell
        self._calls = calls
        self._namespaces = namespaces
        self._scene_there: Scene | None = None
        self._made: dict[str, Any] = {}
        self._chains: list[str] = []

    def step(self, line: str) -> None:
        """Do one step."""
        verb, *words = shlex.split(line)
        match verb:
            case "namespace":
                self._make_another()
            case "there":
                self._another.step(line.split(maxsplit=1)[1])
            case "give":
                self._links.give(words[0], self._another.process)
            case "load":
                for name in words:
                    stack.load(self._shell, *_TOGETHER.get(name, (name,)))
            case "shell":
                self._shell.check(" ".join(words))
            case "route":
                self._policy.route(*words)
            case "rule":
                self._policy.rule(*words)
            case "chain":
                name, hook, priority, *kind = words
                self._nft.chain(name, hook, int(priority), *kind)
                self._chains.append(name)
            case "match":
                self._match(*words)
            case "ipsec":
                self._protect(*words)
            case _:
                self._link(verb, words)

    def _make_another(self) -> None:
        """One at the other end of veth0."""
        assert self._namespaces, "only the guest's own namespace has another"
        stack.load(self._shell, *stack.VETH)
        self.there = self._namespaces()
        stack.pair(self._shell, self._links, self.there)
        self.there.shell.check("echo 1 >/proc/sys/net/ipv4/ip_forward")
        self._scene_there = Scene(self.there.shell, self.there.calls)

    @property
    def _another(self) -> Scene:
        assert self._scene_there, "a step before has to be: namespace"
        return self._scene_there

    @property
    def process(self) -> int:
        """The number of a process in it."""
        return self._calls.pid

    def gathers(self) -> bool:
        """Whether it has always-defragment."""
        return self._shell.check("cat /proc/sys/net/ipv4/divert/defrag").strip() == "1"

    def _link(self, verb: str, words: list[str]) -> None:
        match verb:
            case "vlan":
                self._links.vlan(words[0], words[1], int(words[2]))
            case "bridge":
                self._links.bridge(*words)
            case "vrf":
                self._links.vrf(words[0], int(words[1]), *words[2:])
            case "tunnel":
                self._links.tunnel(*words)
            case _:
                raise ValueError(f"no step begins so: {verb}")

    def counts(self) -> dict[str, list[int]]:
        """What the counters of nftables, and IPsec's, have counted."""
        found = {name: self._nft.counts(name) for name in self._chains}
        lines = self._shell.run("grep -v ' 0$' /proc/net/xfrm_stat").stdout.splitlines()
        found |= {name: [int(value)] for name, value in map(str.split, lines)}
        if self._scene_there:
            found |= {f"there {name}": each for name, each in self._scene_there.counts().items()}
        return found

    def connections(self) -> list[str]:
        """What connection tracking knows of the test's packets, but for how long it will."""
        text = self._shell.run("cat /proc/net/nf_conntrack").stdout
        rows = [line.split() for line in text.splitlines()]
        found = sorted(
            " ".join(word for word in [row[2], *row[5:]] if not word.startswith("use="))
            for row in rows
            if row[2] in _TRACKED and _OF_AGENT not in row
        )
        if self._scene_there:
            found += [f"there {each}" for each in self._scene_there.connections()]
        return found

    def forget(self) -> None:
        """Let go of connections and of what the routes have learned."""
        self._shell.check("echo 0 >/proc/sys/net/ipv4/route/flush")
        if self._shell.run("grep -q ^nf_conntrack_netlink /proc/modules").status == 0:
            # struct nfgenmsg: of IPv4, or all.
            self._once("conntrack", lambda: Netlink(self._calls, NETFILTER, "conntrack")).ask(
                message(_CONNTRACK_DELETE, ACK, bytes(4))
            )
        if self._scene_there:
            self._scene_there.forget()

    def _protect(self, how: str, *words: str) -> None:
        given = dict(zip(words[::2], words[1::2], strict=True))
        ends = given["begin"], given["end"]
        port = int(given.get("dport", 0))
        selected = Selected(given["from"], given["to"], NUMBERS["udp"] if port else ANY, port)
        if how == "transport":
            self._ipsec.between(selected, *ends)
        else:
            self._ipsec.through(selected, *ends, inbound=how == "inbound")

    def _match(self, chain: str, *words: str) -> None:
        rest, expressions = list(words), []
        while rest:
            count, made = _EXPRESSIONS[rest.pop(0)]
            expressions.append(made(*rest[:count]))
            del rest[:count]
        self._nft.rule(chain, *expressions)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @property
    def _nft(self) -> Nft:
        made: Nft = self._once("nft", lambda: Nft(self._calls))
        return made

    @property
    def _ipsec(self) -> Ipsec:
        made: Ipsec = self._once("ipsec", lambda: Ipsec(self._calls))
        return made

    @property
    def _policy(self) -> Policy:
        made: Policy = self._once("policy", lambda: Policy(self._calls))
        return made

    @property
    def _links(self) -> Links:
        made: Links = self._once("links", lambda: Links(self._calls))
        return made
