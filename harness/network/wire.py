# SPDX-License-Identifier: GPL-2.0-only
"""The far host on a test wire: sends frames to the guest, and captures what the guest sends."""

from __future__ import annotations

import itertools
import selectors
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from harness.base.deadline import Deadline
from harness.base.errors import DeadlineError, GuestError
from harness.network import frames, packets
from harness.network.addresses import Link
from harness.network.capture import Capture, Recording
from harness.network.frames import Frame
from harness.network.listener import Listener

# The largest frame: QEMU's cards are not limited to an MTU of 1500.
_FRAME_BYTES = 65536 + 14

# QEMU takes a frame within microseconds; it takes none while the guest's card is full.
_SEND_SECONDS = 5.0
_BARRIER_SECONDS = 2.0

# The guest's driver has 32 receive buffers, and room for 16 frames to send. After a burst of more
# than 25 some may also stay in the card until the next one comes (drivers/net/tulip.c,
# max_interrupt_work).
_BURST_FRAMES = 16

# A crash of the guest makes no room on a wire, so it is looked for this often while there is none.
_LOOK_SECONDS = 0.1

# How many frames a failed `expect` shows.
_SHOWN_FRAMES = 12

# A datagram that never leaves the host: what was written before it is captured (see `_fence`).
_FENCE = b"fence"

# Probes of a barrier come from these cards, one each: locally administered addresses.
_BARRIER_PREFIX = b"\x02\xba\x22"


class Wire:
    """One wire. A thread answers ARP for the far host, and captures, from creation to `close()`.

    `near` is the harness's end of a datagram socket pair, `far` QEMU's, which is kept to empty it.
    `check` raises GuestError if the guest is known to be lost; it is asked when a wait is in vain.
    Packets are scapy's, from the Ethernet header on.
    """

    def __init__(
        self,
        link: Link,
        near: socket.socket,
        far: socket.socket,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = link.name
        self.host_ip = link.host_ip
        self.host_mac = link.host_mac
        self.guest_ip = link.guest_ip
        self.guest_mac = link.guest_mac
        self._near = near
        self._far = far
        self._check = check
        self._addresses = {frames.ip_bytes(link.host_ip)}
        self._mac = frames.mac_bytes(link.host_mac)
        self._capture = Capture()
        self._answers_pings = False
        self._barriers = itertools.count(1)
        self._barriers_seen: set[bytes] = set()
        self._fences_seen = 0
        self._unconfirmed = 0
        # Once for all: QEMU's descriptor shares this flag with `far`, and relies on it.
        near.setblocking(False)
        far.setblocking(False)
        self._listener = Listener(near, self._take, name=link.name, room=_FRAME_BYTES)

    def add_address(self, ip: str) -> None:
        """Answer ARP for `ip` too."""
        self._addresses.add(frames.ip_bytes(ip))

    def remove_address(self, ip: str) -> None:
        """Answer ARP for `ip` no more."""
        self._addresses.discard(frames.ip_bytes(ip))

    def answer_pings(self) -> None:
        """Answer ICMP echo requests too, as the host that has this wire's addresses does."""
        self._answers_pings = True

    def send(self, packet: Any) -> None:
        """Send to the guest: bytes as the frame that they are, scapy's IP in a frame of its own.

        No more frames in a row than the guest's card can hold: behind so many comes a barrier.
        Waits while the card takes no more. Raises GuestError if that lasts seconds.
        """
        if self._capture.interrupted:
            self._check()
        if self._unconfirmed >= _BURST_FRAMES:
            self.barrier()
        self._unconfirmed += 1
        if not isinstance(packet, bytes):
            packet = packets.encode(packet, self.host_mac, self.guest_mac)
        data: bytes = packet
        # Before: the guest's answer may be captured before this thread goes on.
        self._capture.note(Frame(time.time(), True, data))
        self._write(self._near, data)

    def send_all(self, packets: Iterable[Any]) -> None:
        """Send many packets, and wait until the guest has received them."""
        for packet in packets:
            self.send(packet)
        self.barrier()

    def received(self, matches: Callable[[Any], bool] | None = None) -> list[Any]:
        """All packets captured since `clear()` that match, ARP about our own addresses left out."""
        found = [packets.parse(frame.data) for frame in self._capture.frames()]
        return [packet for packet in found if matches is None or matches(packet)]

    def captured(self) -> list[Frame]:
        """What `received()` is made from: the bytes, and when they came."""
        return self._capture.frames()

    def expect(
        self, matches: Callable[[Any], bool], *, seconds: float = 2.0, what: str = ""
    ) -> Any:
        """The first packet since `clear()` that matches, captured already or still to come.

        Raises GuestError if none comes within `seconds`, with what came instead.
        """
        deadline = Deadline(seconds, f"{what or 'packet as expected'} on {self.name}")
        looked = 0
        while found := self._capture.after(looked, deadline):
            looked += len(found)
            for frame in found:
                packet = packets.parse(frame.data)
                if matches(packet):
                    return packet
        self._check()
        raise GuestError(f"no {deadline.what} within {seconds:g} s", self._describe())

    def clear(self) -> None:
        """Forget what was captured so far."""
        self._capture.clear()

    def barrier(self, seconds: float = _BARRIER_SECONDS) -> None:
        """Wait until all that the guest had sent on this wire before the call is captured.

        Also until the guest has received what was sent to it before: its card, its receive queue
        and its transmit queue keep the order. Sends an ARP probe, which leaves no trace in the
        guest, and is neither captured nor recorded. Raises GuestError if there is no answer.
        """
        if not self.probe(seconds):
            self._check()
            raise GuestError(
                f"no answer by ARP of {self.guest_ip} on {self.name} within {seconds:g} s"
            )

    def probe(self, seconds: float) -> bool:
        """What `barrier` does, with the answer whether the guest answered in time."""
        # What the guest has asked by ARP is answered before: packets of its may wait for that.
        self._fence()
        mac = _BARRIER_PREFIX + next(self._barriers).to_bytes(3, "big")
        deadline = Deadline(seconds, f"answer by ARP of {self.guest_ip} on {self.name}")
        try:
            self._near.send(frames.probe(mac, self.guest_ip).encode())
        except (BlockingIOError, ConnectionError):
            return False
        answered = self._capture.wait(lambda: mac in self._barriers_seen, deadline)
        self._barriers_seen.discard(mac)
        if answered:
            self._unconfirmed = 0
        return answered

    def record(self, path: Path) -> AbstractContextManager[None]:
        """Keep a pcap of both directions at `path`, written when the context is left."""
        return self._capture.record(path, self._fence)

    def discard(self) -> None:
        """Be as at the start: no frame on its way in either direction, and one address of ours.

        Only while QEMU drops what it reads and writes (its end of the cable is unplugged).
        """
        try:
            while True:
                self._far.recv(_FRAME_BYTES)
        except BlockingIOError:
            pass
        self._fence()
        self._capture.clear()
        self._addresses = {frames.ip_bytes(self.host_ip)}
        self._unconfirmed = 0

    def interrupt(self) -> None:
        """Let every wait end now, and ask `check` why: the guest is in trouble."""
        self._capture.interrupt()

    def resume(self) -> None:
        """The guest is well again."""
        self._capture.resume()

    def tapped(self, recording: Recording) -> AbstractContextManager[None]:
        """Give each frame of both directions, ARP included, to `recording` as it comes."""
        return self._capture.tapped(recording)

    def hand_over(self) -> tuple[int, int]:
        """Leave the wire to another process, which has these two descriptors: its ends."""
        self._listener.stop()
        return self._near.fileno(), self._far.fileno()

    @contextmanager
    def lent(self) -> Iterator[int]:
        """The descriptor of this end, for a program that plays the far host in the meantime.

        Nothing is captured then, and ARP is not answered: the program has to.
        """
        self._listener.stop()
        try:
            yield self._near.fileno()
        finally:
            self._listener.start()

    def close(self) -> None:
        """End the thread, and close the sockets."""
        self._listener.close()
        for one in (self._near, self._far):
            one.close()

    def _write(self, end: socket.socket, data: bytes) -> None:
        deadline = Deadline(_SEND_SECONDS, f"room on {self.name}")
        while True:
            try:
                end.send(data)
                return
            except BlockingIOError:
                self._wait_for_room(end, deadline)
            except ConnectionError as error:
                self._check()
                raise GuestError(f"{self.name} leads nowhere: QEMU has ended ({error})") from error

    def _wait_for_room(self, end: socket.socket, deadline: Deadline) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(end, selectors.EVENT_WRITE)
            while not selector.select(min(deadline.remaining, _LOOK_SECONDS)):
                self._check()
                if deadline.expired:
                    raise GuestError(
                        f"the guest took no frame from {self.name} for {deadline.seconds:g} s"
                    )

    def _fence(self) -> None:
        """Wait until all that QEMU has written is captured: by a datagram of ours behind it.

        Says nothing about what is still inside the guest; that is `barrier`.
        """
        wanted = self._fences_seen + 1
        self._write(self._far, _FENCE)
        deadline = Deadline(_SEND_SECONDS, f"complete capture of {self.name}")
        # Nothing is asked of the guest, so its crash ends no wait here.
        if not self._capture.wait(
            lambda: self._fences_seen >= wanted, deadline, interruptible=False
        ):
            raise DeadlineError(f"no {deadline.what} within {deadline.seconds:g} s")

    def _take(self, data: bytes, now: float) -> None:
        if data == _FENCE:
            self._capture.change(self._count_fence)
            return
        frame = Frame(now, False, data)
        arp = frames.parse_arp(data)
        if arp is None:
            self._capture.add(frame)
            if self._answers_pings:
                self._answer(frames.echo_reply(data, self._addresses, self._mac))
        elif arp.destination.startswith(_BARRIER_PREFIX):
            self._capture.change(lambda: self._barriers_seen.add(arp.destination))
        elif arp.target_ip not in self._addresses:
            self._capture.add(frame)
        else:
            self._capture.note(frame)
            if arp.operation == frames.ARP_REQUEST:
                self._answer(frames.reply_to(arp, self._mac).encode())

    def _count_fence(self) -> None:
        self._fences_seen += 1

    def _answer(self, data: bytes | None) -> None:
        if data is None:
            return
        try:
            self._near.send(data)
        except (BlockingIOError, ConnectionError):
            return  # As on a real wire that is full: the guest asks again.
        self._capture.note(Frame(time.time(), True, data))

    def _describe(self) -> str:
        captured = self._capture.frames()
        if not captured:
            return "nothing was captured"
        lines = [f"  {packets.parse(frame.data).summary()}" for frame in captured[-_SHOWN_FRAMES:]]
        return "\n".join([f"{len(captured)} captured, the last:", *lines])
