# SPDX-License-Identifier: GPL-2.0-only
"""S8. "Just like regular sockets": the calls on a divert socket."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP

from divert_reference.chains import Chains
from divert_reference.programs import Calls
from divert_reference.traffic import NEAR, ip_packets
from harness.guest.machine import Machine
from harness.guest.shell import Shell
from harness.network.wire import Wire
from tests.guest.support.copies import packet_socket
from tests.guest.support.sockets import LARGEST, Filler, bound, hexed, ipv4, received

statement = pytest.mark.statement

PORT = 1234
RULE = f"input -i {NEAR.interface} -j DIVERT {PORT}"
# On the wire's network, and no host has it: what is sent there waits for an answer by ARP.
NOBODY = "192.0.2.77"


@pytest.fixture
def diverted(calls: Calls, chains: Chains) -> Calls:
    """A divert socket `d`, whose rule takes all that comes by wire 0."""
    bound(calls, "d", PORT)
    chains.append(RULE)
    return calls


@statement("S8/receive", "S5/whole")
@pytest.mark.parametrize("call", ["read", "recv", "recvfrom", "recvmsg"])
def test_each_receiving_call_gives_one_packet(
    call: str, guest: Machine, diverted: Calls, near: Wire
) -> None:
    packets = [ipv4(body=b"first"), ipv4(body=b"the second", id=2)]
    near.send_all(map(IP, packets))
    for packet in packets:
        row = diverted.ok(call, "d", LARGEST)
        assert (received(row), row["result"]) == (packet, len(packet))
        if call.startswith("recv") and call != "recv":
            assert row["from"]["ip"] == NEAR.guest_ip
            assert len(row["from"]["hex"]) == 2 * 16
        assert row.get("flags", []) == []


@statement("S8/send", "S8/no-address", "S11/injected")
@pytest.mark.parametrize(
    "words",
    [
        "write d {}",
        "send d {}",
        "sendto d {} none",
        "sendto d {} null:16",
        "sendto d {} in:0:0",
        "sendmsg d {} none",
        "sendmsg d {} none 0 1 7 12",
        "sendmsg d {} in:0:0 0 20 0",
    ],
)
def test_each_sending_call_sends_one_packet_outbound(
    words: str, guest: Machine, calls: Calls, near: Wire
) -> None:
    bound(calls, "d", PORT)
    packet = ipv4(body=b"out it goes", src=NEAR.guest_ip, dst=NEAR.host_ip)
    row = calls.ok(*words.replace("in:0:0", "in:0.0.0.0:0").format(hexed(packet)).split())
    assert row["result"] == len(packet)
    guest.barrier()
    assert ip_packets(near.captured()) == [packet]


@statement("S8/send")
def test_sendmsg_gathers_a_packet_and_its_address(guest: Machine, calls: Calls, near: Wire) -> None:
    """In parts, inbound: the guest's own raw socket receives it, once."""
    bound(calls, "d", PORT)
    calls.ok("socket", "raw", "inet", "raw", 99)
    packet = ipv4(body=b"in parts")
    calls.ok("sendmsg", "d", hexed(packet), f"in:{NEAR.guest_ip}:0", 0, 1, 19, 0, 5)
    assert calls.drain("raw") == [packet]


@statement("S8/waits")
@pytest.mark.parametrize("call", ["read", "recvmsg"])
def test_receiving_waits_for_a_packet(call: str, diverted: Calls, shell: Shell, near: Wire) -> None:
    before = diverted.answers
    answer = diverted.begin(call, "d", LARGEST)
    # Time enough for it to have answered, had it not waited.
    shell.check("true")
    assert diverted.answers == before
    packet = ipv4(body=b"at last")
    near.send(IP(packet))
    assert received(answer()) == packet


@statement("S8/poll")
def test_poll_and_select_wait_for_a_packet(diverted: Calls, near: Wire) -> None:
    assert diverted("poll", "d", "in|rdnorm|pri|err", 0)["revents"] == []
    assert diverted("select", "d", "read", 0)["ready"] == []
    for words, ready in (
        (("poll", "d", "in", 5000), {"revents": ["in"]}),
        (("select", "d", "read", 5000), {"ready": ["read"]}),
    ):
        answer = diverted.begin(*words)
        near.send(IP(ipv4()))
        row = answer()
        assert row["result"] == 1
        assert row.items() >= ready.items()
        assert diverted.drain("d") == [ipv4()]
        assert diverted("poll", "d", "in", 0)["revents"] == []


@statement("S8/poll")
def test_poll_and_select_tell_when_there_is_room_to_send(
    guest: Machine, shell: Shell, calls: Calls, near: Wire
) -> None:
    """What waits for its way out is charged to the socket: a program that hurries is held up."""
    bound(calls, "d", PORT)
    calls.ok("setsockopt", "d", "socket", "sndbuf", "int:1")
    packet = hexed(ipv4(body=bytes(1000), src=NEAR.guest_ip, dst=NOBODY))
    assert calls("poll", "d", "out", 0)["revents"] == ["out"]
    assert calls("select", "d", "write", 0)["ready"] == ["write"]
    assert calls("ioctl", "d", "outq")["value"] == 0
    calls.ok("send", "d", packet, "dontwait")
    assert calls("poll", "d", "out", 0)["revents"] == []
    assert calls("select", "d", "write", 0)["ready"] == []
    assert calls("ioctl", "d", "outq")["value"] >= 1020
    calls.ok("send", "d", packet, "dontwait")
    assert calls.error("send", "d", packet, "dontwait") == "EAGAIN"
    answer = calls.begin("poll", "d", "out", 5000)
    shell.check(f"arp -s {NOBODY} {NEAR.host_mac}")
    assert answer()["revents"] == ["out"]
    guest.barrier()
    assert [len(data) for data in ip_packets(near.captured())] == [1020, 1020]
    assert calls("ioctl", "d", "outq")["value"] == 0


@statement("S8/peek", "S8/fionread")
@pytest.mark.parametrize("call", ["recv", "recvfrom", "recvmsg"])
def test_peek_leaves_the_packet_and_its_address(
    call: str, guest: Machine, diverted: Calls, near: Wire
) -> None:
    near.send(IP(ipv4(body=b"peeked at")))
    guest.barrier()
    rows = [diverted(call, "d", LARGEST, flags) for flags in ("peek", "peek|dontwait", "dontwait")]
    assert {row["hex"] for row in rows} == {ipv4(body=b"peeked at").hex()}
    assert len({str(row.get("from")) for row in rows}) == 1, "the same tag each time"
    assert diverted.error(call, "d", LARGEST, "peek|dontwait") == "EAGAIN"


@statement("S8/dontwait")
def test_nothing_to_read_is_eagain(guest: Machine, diverted: Calls, near: Wire) -> None:
    for call in ("recv", "recvfrom", "recvmsg"):
        assert diverted.error(call, "d", LARGEST, "dontwait") == "EAGAIN"
    diverted.ok("mode", "d", "nonblock")
    assert diverted.error("read", "d", LARGEST) == "EAGAIN"
    near.send(IP(ipv4(body=b"now")))
    guest.barrier()
    assert received(diverted.ok("read", "d", LARGEST)) == ipv4(body=b"now")
    assert diverted.error("read", "d", LARGEST) == "EAGAIN"


@statement("S8/fionread")
def test_fionread_tells_the_next_packets_length(
    guest: Machine, diverted: Calls, near: Wire
) -> None:
    def fionread() -> int:
        return int(diverted.ok("ioctl", "d", "fionread")["value"])

    lengths = [20, 700, 33]
    near.send_all(IP(ipv4(body=bytes(length - 20))) for length in lengths)
    told = []
    for _ in lengths:
        told.append(fionread())
        diverted.ok("recv", "d", 1)
    assert (told, fionread()) == (lengths, 0)


@statement("S8/ioctl")
def test_ioctl_of_the_interfaces(diverted: Calls) -> None:
    diverted.ok("socket", "udp", "inet", "dgram", 17)
    numbers = [diverted.ok("ifindex", name, "eth2")["value"] for name in ("udp", "d")]
    assert numbers[0] == numbers[1] > 0
    assert diverted.error("ifindex", "d", "nowhere") == "ENODEV"


@statement("S8/trunc")
@pytest.mark.parametrize("room", [0, 1, 19, 20, 24])
def test_packet_larger_than_the_buffer_is_cut_and_says_so(
    room: int, guest: Machine, diverted: Calls, near: Wire
) -> None:
    packets = [ipv4(body=b"12345"), ipv4(body=b"67890", id=3)]
    near.send_all(map(IP, packets))
    peeked = diverted.ok("recvmsg", "d", room, "peek")
    row = diverted.ok("recvmsg", "d", room)
    assert row["flags"] == peeked["flags"] == ["trunc"]
    assert received(row) == received(peeked) == packets[0][:room]
    assert row["from"] == peeked["from"]
    # The rest of it is gone, and the next one comes whole: exactly its size is enough.
    row = diverted.ok("recvmsg", "d", 25)
    assert (received(row), row["flags"]) == (packets[1], [])


@statement("S8/room")
def test_there_is_room_for_the_largest_packet(calls: Calls, chains: Chains) -> None:
    """As it is, and whatever SO_RCVBUF says: before bind, before a packet came, and after."""
    filler = Filler(calls, chains, PORT)
    calls.ok("socket", "d", "inet", "raw", "divert")
    assert calls("getsockopt", "d", "socket", "rcvbuf", 4)["value"] > LARGEST
    calls.ok("setsockopt", "d", "socket", "rcvbuf", "int:0")
    calls.ok("bind", "d", f"in:0.0.0.0:{PORT}")
    for size in ("", "int:0", "int:256", "int:32767", "int:65535"):
        if size:
            calls.ok("setsockopt", "d", "socket", "rcvbuf", size)
        packet = filler.send(LARGEST)
        assert calls("ioctl", "d", "fionread")["value"] == LARGEST, size
        row = calls.ok("recvmsg", "d", LARGEST, "dontwait")
        assert (row["result"], row["flags"]) == (LARGEST, []), size
        assert intact(received(row), packet), size


def intact(data: bytes, sent: bytes) -> bool:
    """Whether the packet is the one that was sent, but for the fields that injection computes."""
    return data[:4] + data[4:10] + data[12:] == sent[:4] + sent[4:10] + sent[12:]


@statement("S8/send", "S8/receive")
def test_there_is_nothing_out_of_band(guest: Machine, diverted: Calls, near: Wire) -> None:
    near.send(IP(ipv4()))
    guest.barrier()
    packet = hexed(ipv4(src=NEAR.guest_ip, dst=NEAR.host_ip))
    assert diverted.error("send", "d", packet, "oob") == "EOPNOTSUPP"
    assert diverted.error("recv", "d", LARGEST, "oob|dontwait") == "EOPNOTSUPP"
    assert diverted.error("connect", "d", f"in:{NEAR.host_ip}:9") == "EOPNOTSUPP"
    assert diverted.error("recv", "d", LARGEST, "errqueue|dontwait") == "EAGAIN"
    assert diverted.drain("d") == [ipv4()], "though there is a packet"


@statement("S8/receive")
@pytest.mark.parametrize("chain", ["input -i lo", "output -i lo"])
def test_packet_has_the_time_when_it_was_taken(chain: str, calls: Calls, chains: Chains) -> None:
    bound(calls, "d", PORT)
    chains.append(f"{chain} -p UDP -j DIVERT {PORT}")
    assert calls.error("stamp", "d") == "ENOENT", "before anything was read"
    calls.ok("socket", "u", "inet", "dgram", 0)
    calls.ok("sendto", "u", "text:tick", "in:127.0.0.1:4000")
    calls.ok("recv", "d", LARGEST, "dontwait")
    assert calls.ok("stamp", "d")["value"] > 0


@statement("S8/arrival")
def test_packet_has_the_time_of_its_arrival(
    guest: Machine, near: Wire, calls: Calls, chains: Chains
) -> None:
    """A packet socket is told the same; a kernel of today notes the time only once it is asked."""
    bound(calls, "d", PORT)
    packet_socket(calls, "copy", NEAR.interface)
    chains.append(f"input -p UDP -j DIVERT {PORT}")
    near.send(IP(src=NEAR.host_ip, dst=NEAR.guest_ip) / UDP())
    guest.barrier()
    calls.ok("recv", "d", LARGEST, "dontwait")
    # Before the barrier's frame, that of the packet: the first that the socket has.
    calls.ok("recv", "copy", LARGEST, "dontwait")
    times = [
        (calls.ok("stamp", name)["value"], calls.ok("stamp", name, "micro")["value"])
        for name in ("d", "copy")
    ]
    assert times[0] == times[1]
