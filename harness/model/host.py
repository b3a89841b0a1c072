# SPDX-License-Identifier: GPL-2.0-only
"""S, I, P, T. One host with divert sockets: what its programs and its wires see.

Nothing waits: a packet that comes has left, is queued for a program, or is gone, when the call that
brought it returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.model.chains import Chains
from harness.model.packet import Packet, completed, whole
from harness.model.rules import ACCEPT, DIVERT
from harness.model.socket import Held, Socket, Taken
from harness.model.traits import Traits
from harness.model.walk import Mark, walk
from harness.model.ways import ADDRESSES, LOOPBACK, NO_ADDRESS, way


class Host:
    """A host. Its methods are the calls of its programs, and what comes by wire.

    What leaves by wires, and what its programs receive, is gathered in `sent` and `received`.
    `has_room` is asked where S9 leaves open whether a queue has room for one packet more.
    """

    def __init__(self, traits: Traits, has_room: Callable[[Socket], bool] = lambda _: True) -> None:
        self.traits = traits
        self.has_room = has_room
        self.chains = Chains(traits.refuses_circles)
        self.sockets: dict[str, Socket] = {}
        self.held: list[Held] = []
        self.unheard = 0
        self.sent: list[tuple[str, Packet]] = []
        self.received: list[Packet] = []

    # S: the socket.

    def open(self, name: str) -> str:
        """S1: a divert socket."""
        self.sockets[name] = Socket(name)
        return ""

    def bind(self, name: str, port: int) -> str:
        """S3, S4: its port, once, which no other has. Port 0 is not foretold."""
        socket = self.sockets[name]
        if socket.port:
            return "EINVAL"
        if self.listener(port):
            return "EADDRINUSE"
        socket.port = port
        return ""

    def close(self, name: str) -> str:
        """S10: what is queued is freed, what it has read is forgotten."""
        socket = self.sockets.pop(name)
        socket.open = False
        socket.queue.clear()
        return ""

    def shut(self, name: str) -> str:
        """S8: shutdown() for writing is ENOTCONN, as for any socket that is not connected."""
        self.sockets[name].shut = self.traits.shuts
        return "ENOTCONN"

    def make_small(self, name: str) -> str:
        """S9: the smallest queue that there is."""
        self.sockets[name].small = True
        return ""

    def read(self, name: str, *, peek: bool = False) -> tuple[str, Held | None]:
        """S5, S6, S7, S8: the next packet of the queue, and its address; a peek leaves it there."""
        queue = self.sockets[name].queue
        if not queue:
            return "EAGAIN", None
        taken = queue[0] if peek else queue.pop(0)
        held = Held(taken.packet, taken)
        self.held.append(held)
        return "", held

    def learn(self, held: Held, identification: int) -> Held:
        """S7: a program sees the ID that this host has given to a packet of its own."""
        known = Held(held.packet.changed(identification=identification), held.taken)
        self.held[self.held.index(held)] = known
        # Who has only looked at it will read the same.
        held.taken.packet = known.packet
        return known

    def listing(self) -> dict[int, tuple[int, int, int, int]]:
        """S11: for each port that is bound: bytes queued, packets delivered, dropped, injected."""
        return {
            socket.port: (
                sum(taken.packet.length for taken in socket.queue),
                socket.delivered,
                socket.dropped,
                socket.injected,
            )
            for socket in self.sockets.values()
            if socket.port
        }

    # What comes, and what goes.

    def arrive(self, interface: str, packets: Sequence[Packet]) -> None:
        """R2, F1, F4: what an interface receives by its wire: a packet, or all parts of one.

        With always-defragment they are put together before the input chain.
        """
        if self.traits.defrag and len(packets) > 1:
            packets = [whole(packets)]
        for packet in packets:
            self._input(interface, packet, Mark())

    def send(self, destination: str, packet: Packet) -> str:
        """R2, P1: a program of this host's own sends a datagram; what it is told."""
        interface = way(destination)
        return self._output(interface, packet, Mark()) if interface else "ENETUNREACH"

    def inject(self, name: str, packet: Packet, address: str = "") -> str:
        """I3, I4, I5, I6, I8: a packet without a tag; outbound, or received at `address`."""
        socket = self.sockets[name]
        if socket.shut:
            return "EPIPE"
        error = self._injected(completed(packet), address, Mark(socket.port))
        socket.injected += not error
        return error

    def refuse(self, name: str, why: str) -> str:
        """I6: what is no packet: too short, of another version, with a header that cannot be."""
        if self.sockets[name].shut:
            return "EPIPE"
        return "EMSGSIZE" if why == "beyond" else "EINVAL"

    def _injected(self, packet: Packet, address: str, mark: Mark) -> str:
        if not address:
            interface = way(packet.destination)
            if interface is None:
                return "ENETUNREACH"
            return self._output(interface, packet, mark)
        interface = next((name for name, ip in ADDRESSES.items() if ip == address), None)
        if interface is None:
            return "EADDRNOTAVAIL"
        self._input(interface, packet, mark)
        return ""

    def reinject(self, name: str, held: Held, packet: Packet) -> str:
        """I2, I5, I6, T3: a packet with its tag, changed or not, by whichever divert socket."""
        socket = self.sockets[name]
        taken = held.taken
        if socket.shut:
            return "EPIPE"
        if not taken.reader.open:
            return "ESTALE"
        error = self._reenter(taken, completed(packet), Mark(socket.port, taken.hook, taken.place))
        socket.injected += not error
        return error

    def _reenter(self, taken: Taken, packet: Packet, mark: Mark) -> str:
        """The closing table of SPEC.md: where it goes on."""
        rerouted = (packet.source, packet.destination, packet.tos) != taken.was
        if taken.hook == "input":
            self._input(taken.interface, packet, mark, looped=taken.interface == LOOPBACK)
            return ""
        if taken.interface and taken.hook == "forward":
            out = way(packet.destination) if rerouted else taken.out
            if out == LOOPBACK:
                self._deliver(packet)
            elif out:
                self._forward(taken.interface, out, packet, mark)
            return ""
        out = way(packet.destination) if rerouted else taken.out
        if not out:
            return "ENETUNREACH"
        return self._output(out, packet, mark, taken.interface)

    # Hooks.

    def _input(self, interface: str, packet: Packet, mark: Mark, *, looped: bool = False) -> None:
        packet, mark, passed = self._walk("input", (interface, ""), packet, mark)
        if passed is not None:
            return
        if not looped and packet.source in ADDRESSES.values():
            return  # I3: as the wire's would be
        out = way(packet.destination)
        if out == LOOPBACK:
            self._deliver(packet)
        elif out:
            self._forward(interface, out, packet.changed(ttl=packet.ttl - 1), mark)

    def _forward(self, interface: str, out: str, packet: Packet, mark: Mark) -> None:
        packet, mark, passed = self._walk("forward", (interface, out), packet, mark)
        if passed is None:
            self._output(out, packet, mark, interface)

    def _output(self, out: str, packet: Packet, mark: Mark, came_by: str = "") -> str:
        packet, mark, passed = self._walk("output", (came_by, out), packet, mark)
        if passed is not None:
            return passed
        # T1: here its way through this host ends, the loopback's too.
        if out == LOOPBACK:
            self._input(LOOPBACK, packet, Mark(), looped=True)
        else:
            self.sent.append((out, packet))
        return ""

    def _deliver(self, packet: Packet) -> None:
        self.received.append(packet)

    def _walk(
        self, hook: str, ways: tuple[str, str], packet: Packet, mark: Mark
    ) -> tuple[Packet, Mark, str | None]:
        """Through the chains of a hook; `ways`: the interfaces by which it came, and goes.

        The packet and its mark as they are behind it; None if it goes on, else what its sender is
        told: "" if a program was given it, or had no room (S9).
        """
        interface, out = ways
        end = walk(
            self.chains,
            hook,
            packet,
            interface if hook == "input" else out,
            listens=lambda port: self.listener(port) is not None,
            mark=mark,
            passthrough=self.traits.passthrough,
        )
        self.unheard += len(end.unheard)
        mark = mark.behind()
        if end.verdict == ACCEPT:
            return end.packet, mark, None
        reader = self.listener(end.port)
        if end.verdict != DIVERT or reader is None:
            return end.packet, mark, "EPERM"
        address = NO_ADDRESS if hook == "output" else ADDRESSES[interface]
        self.take(Taken(end.packet, hook, end.place, interface, out, address, reader))
        return end.packet, mark, ""

    def take(self, taken: Taken) -> None:
        """S9, S11, P4: into the queue, if that has room."""
        socket = taken.reader
        if socket.queue and socket.small and not self.has_room(socket):
            socket.dropped += 1
            return
        socket.delivered += 1
        socket.queue.append(taken)

    def listener(self, port: int) -> Socket | None:
        """P3: who listens on a port just now."""
        bound = (socket for socket in self.sockets.values() if port and socket.port == port)
        return next(bound, None)
