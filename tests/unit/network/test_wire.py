# SPDX-License-Identifier: GPL-2.0-only
"""A wire on a real socket pair, with the test in the guest's place."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw
from scapy.utils import rdpcap

from harness.base.errors import GuestError, GuestLostError
from harness.network.addresses import LINKS
from harness.network.wire import Wire

LINK = LINKS[0]
TO_HOST = Ether(src=LINK.guest_mac, dst=LINK.host_mac)
DATAGRAM = TO_HOST / IP(src=LINK.guest_ip, dst=LINK.host_ip) / UDP(sport=5, dport=6)


class Guest:
    """The guest's end: what it got, and an answer to ARP for its own address if it is alive."""

    def __init__(self) -> None:
        self.near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.far = far
        # QEMU's own copy of the descriptor, as after a fork.
        self.end = socket.socket(fileno=far.detach())
        self.kept = socket.socket(fileno=socket.dup(self.end.fileno()))
        self.alive = True
        self.got: list[bytes] = []
        self.trouble: GuestError | None = None

    def check(self) -> None:
        if self.trouble:
            raise self.trouble

    def say(self, packet: object) -> None:
        self.end.send(bytes(packet))  # type: ignore[call-overload]

    def serve(self, count: int) -> threading.Thread:
        """Take `count` frames, and answer those that ask for the guest's address."""

        def run() -> None:
            self.end.setblocking(True)
            for _ in range(count):
                data = self.end.recv(70000)
                self.got.append(data)
                packet = Ether(data)
                if ARP in packet and packet[ARP].pdst == LINK.guest_ip:
                    # As 2.2.12 does for a probe: the hardware address is that of the asker.
                    self.say(
                        Ether(src=LINK.guest_mac, dst=packet[ARP].hwsrc)
                        / ARP(op=2, hwsrc=LINK.guest_mac, psrc=LINK.guest_ip, pdst=LINK.guest_ip)
                    )

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def guest() -> Iterator[Guest]:
    guest = Guest()
    yield guest
    guest.end.close()


@pytest.fixture
def wire(guest: Guest) -> Iterator[Wire]:
    wire = Wire(LINK, guest.near, guest.kept, guest.check)
    yield wire
    wire.close()


def ask(guest: Guest, ip: str) -> None:
    guest.say(
        Ether(src=LINK.guest_mac, dst="ff:ff:ff:ff:ff:ff")
        / ARP(hwsrc=LINK.guest_mac, psrc=LINK.guest_ip, pdst=ip)
    )


def answer(guest: Guest) -> Ether:
    guest.end.settimeout(2)
    return Ether(guest.end.recv(2000))


def test_arp_is_answered_for_the_far_host(guest: Guest, wire: Wire) -> None:
    ask(guest, LINK.host_ip)
    reply = answer(guest)
    assert (reply[ARP].op, reply[ARP].psrc, reply[ARP].hwsrc) == (2, LINK.host_ip, LINK.host_mac)
    assert wire.received() == []


def test_arp_is_not_answered_for_others(guest: Guest, wire: Wire) -> None:
    ask(guest, "192.0.2.77")
    packet = wire.expect(lambda packet: ARP in packet)
    assert packet[ARP].pdst == "192.0.2.77"
    # The answer to a later question is the first thing that comes back.
    ask(guest, LINK.host_ip)
    assert answer(guest)[ARP].psrc == LINK.host_ip


def test_more_addresses(guest: Guest, wire: Wire) -> None:
    wire.add_address("192.0.2.77")
    ask(guest, "192.0.2.77")
    assert answer(guest)[ARP].psrc == "192.0.2.77"
    wire.remove_address("192.0.2.77")
    ask(guest, "192.0.2.77")
    wire.expect(lambda packet: ARP in packet)


def test_added_address_lasts_until_the_guest_is_restored(guest: Guest, wire: Wire) -> None:
    """It was once answered for in the tests that came after, and their order mattered."""
    wire.add_address("192.0.2.77")
    wire.discard()
    wire.resume()
    ask(guest, "192.0.2.77")
    wire.expect(lambda packet: ARP in packet)
    ask(guest, LINK.host_ip)
    assert answer(guest)[ARP].psrc == LINK.host_ip


def test_a_lent_wire_is_the_borrowers_alone(guest: Guest, wire: Wire) -> None:
    with wire.lent() as descriptor:
        ask(guest, LINK.host_ip)
        with socket.socket(fileno=socket.dup(descriptor)) as borrowed:
            borrowed.settimeout(2)
            assert ARP in Ether(borrowed.recv(2000))
            borrowed.setblocking(False)
    ask(guest, LINK.host_ip)
    assert answer(guest)[ARP].psrc == LINK.host_ip
    assert wire.received() == []


def test_ip_gets_a_frame_of_its_own(guest: Guest, wire: Wire) -> None:
    wire.send(IP(src=LINK.host_ip, dst="198.51.100.2") / UDP())
    frame = answer(guest)
    assert (frame.src, frame.dst) == (LINK.host_mac, LINK.guest_mac)
    wire.send(IP(src=LINK.host_ip, dst="224.0.0.9") / UDP())
    assert answer(guest).dst == "01:00:5e:00:00:09"


def test_frames_are_sent_as_they_are(guest: Guest, wire: Wire) -> None:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / Raw(b"x" * 60)
    wire.send(frame)
    wire.send(bytes(frame))
    assert [answer(guest) for _ in range(2)] == [frame, frame]


def test_expect_finds_what_came_before_and_what_comes_later(guest: Guest, wire: Wire) -> None:
    guest.say(DATAGRAM / b"first")
    assert wire.expect(lambda packet: UDP in packet)[UDP].load == b"first"
    later = threading.Timer(0.05, lambda: guest.say(DATAGRAM / b"second"))
    later.start()
    packet = wire.expect(lambda packet: packet[UDP].load == b"second")
    assert packet[IP].src == LINK.guest_ip
    assert len(wire.received()) == 2
    assert len(wire.received(lambda packet: packet[UDP].load == b"first")) == 1
    wire.clear()
    assert wire.received() == []


def test_expect_in_vain_shows_what_came_instead(guest: Guest, wire: Wire) -> None:
    with pytest.raises(GuestError, match=r"no echo reply on wire0 within 0\.05 s") as nothing:
        wire.expect(lambda packet: ICMP in packet, seconds=0.05, what="echo reply")
    assert "nothing was captured" in nothing.value.hint
    guest.say(DATAGRAM)
    with pytest.raises(GuestError) as something:
        wire.expect(lambda packet: ICMP in packet, seconds=0.2)
    assert "UDP 192.0.2.1:5 > 192.0.2.2:6" in something.value.hint


def test_barrier_waits_for_all_that_was_sent_before(guest: Guest, wire: Wire) -> None:
    for _ in range(50):
        guest.say(DATAGRAM)
    guest.serve(1)
    wire.barrier()
    assert len(wire.received()) == 50


def test_barrier_comes_after_the_answers_that_are_due(guest: Guest, wire: Wire) -> None:
    for _ in range(20):
        ask(guest, LINK.host_ip)
    guest.serve(21)
    wire.barrier()
    operations = [Ether(data)[ARP].op for data in guest.got]
    assert operations == [*[2] * 20, 1]


def test_barrier_leaves_no_trace(guest: Guest, wire: Wire, tmp_path: Path) -> None:
    guest.serve(2)
    with wire.record(tmp_path / "wire.pcap"):
        wire.barrier()
        wire.barrier()
    assert wire.received() == []
    assert len(rdpcap(str(tmp_path / "wire.pcap"))) == 0
    assert Ether(guest.got[0]).src != Ether(guest.got[1]).src


def test_barrier_in_vain(wire: Wire) -> None:
    with pytest.raises(GuestError, match=r"no answer by ARP of 192\.0\.2\.1 on wire0"):
        wire.barrier(0.05)
    assert not wire.probe(0.05)


def test_trouble_ends_a_wait_at_once(guest: Guest, wire: Wire) -> None:
    def crash() -> None:
        guest.trouble = GuestLostError("panic", "panic in the guest")
        wire.interrupt()

    threading.Timer(0.05, crash).start()
    with pytest.raises(GuestLostError, match="panic in the guest"):
        wire.expect(lambda packet: True, seconds=30)
    with pytest.raises(GuestLostError):
        wire.barrier(30)
    with pytest.raises(GuestLostError):
        wire.send(b"x" * 60)
    guest.trouble = None
    wire.resume()
    wire.send(b"x" * 60)


def test_recording_has_both_directions_and_arp(guest: Guest, wire: Wire, tmp_path: Path) -> None:
    path = tmp_path / "sub" / "wire.pcap"
    guest.say(DATAGRAM / b"before")
    wire.expect(lambda packet: UDP in packet)
    with wire.record(path):
        wire.send(IP(src=LINK.host_ip, dst=LINK.guest_ip) / UDP(dport=9))
        ask(guest, LINK.host_ip)
        guest.say(DATAGRAM / b"during")
    guest.say(DATAGRAM / b"after")
    kinds = [(packet.src, packet.lastlayer().name) for packet in rdpcap(str(path))]
    assert kinds == [
        (LINK.host_mac, "UDP"),
        (LINK.guest_mac, "ARP"),
        (LINK.host_mac, "Padding"),
        (LINK.guest_mac, "Raw"),
    ]
    times = [float(packet.time) for packet in rdpcap(str(path))]
    assert times == sorted(times)


def test_recording_survives_an_error(guest: Guest, wire: Wire, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), wire.record(tmp_path / "wire.pcap"):
        guest.say(DATAGRAM)
        raise ZeroDivisionError
    assert len(rdpcap(str(tmp_path / "wire.pcap"))) == 1


def test_discard_empties_both_directions(guest: Guest, wire: Wire) -> None:
    for _ in range(16):
        wire.send(b"x" * 60)
        guest.say(DATAGRAM)
    wire.discard()
    assert wire.captured() == []
    guest.end.setblocking(False)
    with pytest.raises(BlockingIOError):
        guest.end.recv(2000)


def test_full_wire_holds_the_sender_back(guest: Guest, wire: Wire) -> None:
    count = 12  # More bytes than the kernel holds for a datagram socket.
    reader = guest.serve(count)
    for number in range(count):
        wire.send(number.to_bytes(4, "big") + b"x" * 60_000)
    reader.join(20)
    assert [int.from_bytes(data[:4], "big") for data in guest.got] == list(range(count))


def test_full_wire_of_a_lost_guest_is_an_error(guest: Guest, wire: Wire) -> None:
    guest.trouble = GuestLostError("hang", "the guest hangs")
    with pytest.raises(GuestLostError, match="hangs"):
        for _ in range(16):
            wire.send(b"x" * 60_000)


def kinds(guest: Guest) -> list[str]:
    return ["probe" if data[12:14] == b"\x08\x06" else "data" for data in guest.got]


def test_no_more_in_a_row_than_the_card_holds(guest: Guest, wire: Wire) -> None:
    reader = guest.serve(40 + 3)
    for _ in range(20):
        wire.send(bytes(DATAGRAM))
    wire.barrier()
    for _ in range(20):
        wire.send(bytes(DATAGRAM))
    reader.join(20)
    assert kinds(guest) == [
        *["data"] * 16, "probe", *["data"] * 4, "probe", *["data"] * 16, "probe", *["data"] * 4
    ]  # fmt: skip


@pytest.mark.slow
def test_a_guest_that_no_longer_receives_is_an_error(guest: Guest, wire: Wire) -> None:
    with pytest.raises(GuestError, match="no answer by ARP"):
        for _ in range(17):
            wire.send(bytes(DATAGRAM))


def test_send_all_waits_for_the_guest(guest: Guest, wire: Wire) -> None:
    guest.serve(40 + 3)
    wire.send_all(bytes(DATAGRAM) for _ in range(40))
    assert kinds(guest) == [
        *["data"] * 16,
        "probe",
        *["data"] * 16,
        "probe",
        *["data"] * 8,
        "probe",
    ]
