# SPDX-License-Identifier: GPL-2.0-only
"""Random sequences for two guests: with packets that a host answers itself, too."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from harness.judge.draws import FOREIGN, HOSTS
from harness.judge.sequences import Foretellable
from harness.model.rules import REJECT
from harness.model.ways import WIRES


class Answered(Foretellable):
    """The same, and what the model does not foretell: packets that this host answers itself.

    Redirects are left out: a kernel of today sends nine to a host, and then none for a while.
    """

    def targets(self) -> list[str]:
        """REJECT, too."""
        return [*super().targets(), REJECT]

    def _packet(self, data: st.DataObject, source: str, destination: str) -> list[str]:
        # To TCP's answers 2.2.12 adds what the card has padded; they are no matter of ours.
        kinds = ["plain"] * 4 + ["closed", "echo", "ttl", "odd"]
        kind = data.draw(st.sampled_from(kinds))
        ends = [f"src={source}", f"dst={destination}"]
        match kind:
            case "closed":
                return ["udp", *ends, "dport=7"]
            case "echo":
                return ["icmp", *ends, "sport=8"]
            case "odd":
                return ["icmp", *ends, f"sport={data.draw(st.sampled_from([3, 77]))}"]
        words = super()._packet(data, source, destination)
        return [*words, "ttl=1"] if kind == "ttl" else words

    @rule(
        data=st.data(),
        interface=st.sampled_from(WIRES),
        destination=st.sampled_from(["192.0.2.255", "198.51.100.255", FOREIGN]),
    )
    def elsewhere(self, data: st.DataObject, interface: str, destination: str) -> None:
        """To all, and where no route leads."""
        self.do("wire", interface, *self._packet(data, HOSTS[interface], destination))

    def policies(self) -> list[str]:
        """REJECT, too."""
        return [*super().policies(), REJECT]
