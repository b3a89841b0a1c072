# SPDX-License-Identifier: GPL-2.0-only
"""The load of benchmarks, compiled, against a guest that is a thread."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from harness.base.errors import GuestError, InfrastructureError
from harness.bench import load as bench_load
from harness.bench.load import Load, Outcome
from harness.network.addresses import LINKS

NEAR, FAR = LINKS
FRAME = 70000
SHORT = Load(bytes=64, window=4, seconds=0.05, warm_up=0.01, patience=0.2)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIVERT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield bench_load.build()


class Guest:
    """Forwards frames from wire 0 to wire 1: each to what `route` makes of its number and bytes."""

    def __init__(self, route: Callable[[int, bytes], list[bytes]]) -> None:
        self.route = route
        self.frames: list[bytes] = []
        self.hosts, self.ends = zip(
            *(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in LINKS), strict=True
        )
        self.thread = threading.Thread(target=self.forward, daemon=True)
        self.thread.start()

    def forward(self) -> None:
        near, far = self.ends
        while frame := near.recv(FRAME):
            out = bytes.fromhex(FAR.host_mac.replace(":", "")) + frame[6:]
            for each in self.route(len(self.frames), out):
                far.send(each)
            self.frames.append(frame)

    def end(self) -> None:
        self.hosts[0].send(b"")
        self.thread.join()
        for each in (*self.hosts, *self.ends):
            each.close()


def run(
    program: Path, load: Load, route: Callable[[int, bytes], list[bytes]]
) -> tuple[Outcome, list[bytes]]:
    guest = Guest(route)
    try:
        descriptors = [each.fileno() for each in guest.hosts]
        return bench_load.run(program, load, descriptors, os.getpid()), guest.frames
    finally:
        guest.end()


def test_datagrams_that_come_back_are_counted(program: Path) -> None:
    outcome, frames = run(program, SHORT, lambda _, frame: [frame])
    assert outcome.sent == outcome.frames == len(frames) > 10
    assert outcome.rate > 100
    assert 0 < outcome.trip[0] <= outcome.trip[1] <= outcome.trip[2]
    assert outcome.cost > 0
    first = Ether(frames[0])
    assert (first.src, first.dst) == (NEAR.host_mac, NEAR.guest_mac)
    assert (first[IP].src, first[IP].dst, first[IP].len) == (NEAR.host_ip, FAR.host_ip, 64)
    assert first[UDP].len == 44
    assert len({Ether(frame)[IP].id for frame in frames}) == len(frames)


def test_header_checksums_are_right(program: Path) -> None:
    _, frames = run(program, SHORT, lambda _, frame: [frame])
    packet = Ether(frames[-1])[IP]
    said = packet.chksum
    del packet.chksum
    assert IP(bytes(packet)).chksum == said


def test_a_large_datagram_comes_in_fragments_in_any_order(program: Path) -> None:
    held: list[bytes] = []

    def last_first(number: int, frame: bytes) -> list[bytes]:
        held.append(frame)
        if number % 3 < 2:
            return []
        out = held[::-1]
        held.clear()
        return out

    load = Load(bytes=4000, window=2, seconds=0.05, patience=0.2)
    outcome, frames = run(program, load, last_first)
    assert outcome.frames == 3 * outcome.sent == len(frames)
    parts = [Ether(frame)[IP] for frame in frames[:3]]
    assert [part.frag * 8 for part in parts] == [0, 1480, 2960]
    assert [part.len for part in parts] == [1500, 1500, 1040]
    assert [str(part.flags) for part in parts] == ["MF", "MF", ""]
    assert len({part.id for part in parts}) == 1


def test_a_window_of_one_waits_for_each(program: Path) -> None:
    waiting = threading.Semaphore(1)

    def route(_number: int, frame: bytes) -> list[bytes]:
        assert waiting.acquire(blocking=False)
        waiting.release()
        return [frame]

    outcome, _ = run(program, Load(64, 1, 0.3), route)
    assert outcome.sent > 1


@pytest.mark.parametrize(
    ("route", "message"),
    [
        (lambda number, frame: [] if number == 5 else [frame], r"of \d+ datagrams 1 were lost"),
        (lambda number, frame: [frame] * (2 if number == 5 else 1), "1 frames came twice"),
    ],
)
def test_what_is_lost_or_doubled_is_no_number(
    program: Path, route: Callable[[int, bytes], list[bytes]], message: str
) -> None:
    with pytest.raises(GuestError, match=message):
        run(program, SHORT, route)


def test_nothing_at_all_is_no_number(program: Path) -> None:
    with pytest.raises(GuestError, match="of 1 datagrams 1 were lost"):
        run(program, SHORT, lambda *_: [])


def test_what_comes_too_late_is_not_measured() -> None:
    said = '{"sent":3,"received":3,"frames":3,"doubled":0,"packets":0,"seconds":0.5,"processor":0.1'
    outcome = bench_load.outcome(json.loads(said + ',"trip":[0.0,0.0,0.0]}'))
    assert outcome == Outcome(3, 3, 0.0, (0.0, 0.0, 0.0), 0.0)


def test_arp_is_answered_on_both_wires(program: Path) -> None:
    guest: Guest

    def asks(number: int, frame: bytes) -> list[bytes]:
        if number > 0:
            return [frame]
        for link, end in zip(LINKS, guest.ends, strict=True):
            question = ARP(hwsrc=link.guest_mac, psrc=link.guest_ip, pdst=link.host_ip)
            end.send(bytes(Ether(src=link.guest_mac, dst="ff:ff:ff:ff:ff:ff") / question))
        answers.append(Ether(guest.ends[1].recv(FRAME)))
        return [frame]

    answers: list[Ether] = []
    guest = Guest(asks)
    try:
        descriptors = [each.fileno() for each in guest.hosts]
        bench_load.run(program, SHORT, descriptors, os.getpid())
    finally:
        guest.end()
    found = [Ether(frame) for frame in guest.frames if ARP in Ether(frame)]
    for link, answer in ((NEAR, found[0]), (FAR, answers[0])):
        assert (answer.dst, answer[ARP].op) == (link.guest_mac, 2)
        assert (answer[ARP].psrc, answer[ARP].hwsrc) == (link.host_ip, link.host_mac)
        assert (answer[ARP].pdst, answer[ARP].hwdst) == (link.guest_ip, link.guest_mac)


def test_a_wire_that_leads_nowhere_is_told(program: Path) -> None:
    hosts, ends = zip(
        *(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in LINKS), strict=True
    )
    for end in ends:
        end.close()
    with pytest.raises(GuestError, match="ended with status 2"):
        bench_load.run(program, SHORT, [each.fileno() for each in hosts], os.getpid())
    for host in hosts:
        host.close()


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="bench-load cannot be run"):
        bench_load.run(tmp_path / "none", SHORT, (0, 1), os.getpid())
