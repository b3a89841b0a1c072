# SPDX-License-Identifier: GPL-2.0-only
"""What is measured is data: each way, with each datagram, where a kernel has what they need."""

from __future__ import annotations

import pytest

from harness.base.errors import UserError
from harness.bench import plan
from harness.boot import initramfs
from harness.matrix import kernels, statements, variants

PLAN = plan.load()
BY_NAME = variants.load()
ROWS = plan.measurements(PLAN, [BY_NAME["stock"], BY_NAME["base"], BY_NAME["defrag"]])


def names(rows: tuple[plan.Measurement, ...]) -> list[str]:
    return [row.name for row in rows]


def test_the_table_names_only_what_there_is() -> None:
    words = {"divert", "patched", "passthrough", "defrag", "smp"}.union(
        *(row.features | row.module_features for row in kernels.load().values())
    )
    needs = [need for way in PLAN.ways for need in way.needs]
    needs += [need for datagram in PLAN.datagrams for need in datagram.needs]
    assert {need.removeprefix("no ") for need in needs} <= words
    ways = {way.name for way in PLAN.ways}
    short = {variant.short for variant in BY_NAME.values()}
    for comparison in PLAN.comparisons:
        for variant, way in (comparison.over, comparison.under):
            assert variant in short
            assert not way or way in ways


def test_a_way_on_each_hook_is_written_once() -> None:
    ways = {way.name: way for way in PLAN.ways}
    assert list(ways)[:4] == ["plain", "accept", "divert-input", "divert-input-kept"]
    assert ways["divert-output-read"] == plan.Way(
        "divert-output-read",
        "divert on output, kept, read on",
        ("divert", "keep"),
        ("ipchains -A output -p udp -j DIVERT 1000",),
        ("ipchains -F",),
        "bench-reinject --read 1000",
        "output",
    )
    assert ways["nfqueue-forward-best"].program == "bench-nfqueue --batch 32 forward 1"
    # One that is on input is measured before all that are on forward, and so on.
    hooks = [name.split("-")[1] for name in ways if "-" in name]
    assert list(dict.fromkeys(hooks)) == ["input", "forward", "output"]
    assert hooks == sorted(hooks, key=["input", "forward", "output"].index)
    assert not [way for way in PLAN.ways if "{" in repr(way)]
    assert not [each for each in PLAN.comparisons if "{" in repr(each)]


def test_wires_in_memory_are_for_one_processor_of_a_kernel_of_today() -> None:
    assert {datagram.wires for datagram in PLAN.datagrams} == {"cards", "memory"}
    names = ("base", "linux-6.1:base", "linux-6.12:stock", "linux-6.1:smp")
    rows = plan.measurements(PLAN, [BY_NAME[name] for name in names])
    found = {row.variant.name for row in rows if row.datagram.wires == "memory"}
    assert found == {"linux-6.1:base", "linux-6.12:stock"}
    for datagram in PLAN.datagrams:
        if datagram.wires == "memory":
            # bench-wires has so many frames, of which a datagram's last has the rest.
            assert datagram.window * -(-(datagram.bytes - 20) // 1480) in (63, 64)


def test_what_is_set_up_is_torn_down() -> None:
    assert all(bool(way.setup) == bool(way.teardown) for way in PLAN.ways)


def test_what_is_diverted_is_compared_with_nfqueue() -> None:
    rows = plan.measurements(PLAN, [BY_NAME["linux-6.1:base"]])
    have = {(row.way.name, row.datagram.name) for row in rows}
    for hook in ("input", "forward", "output"):
        for over, under, target in (
            *(("", "", 1.5), ("-kept", "", None), ("-read", "", 1.5)),
            *(("-best", "-best", 1.0), ("-batch", "-best", None)),
        ):
            ways = (f"divert-{hook}{over}", f"nfqueue-{hook}{under}")
            found = [
                each.target for each in PLAN.comparisons if (each.over[1], each.under[1]) == ways
            ]
            assert found == [target]
            for way in ways:
                assert all((way, datagram.name) in have for datagram in PLAN.datagrams)


def test_the_reference_has_neither_nfqueue_nor_calls_for_many_messages() -> None:
    ways = {row.way.name for row in ROWS}
    assert "divert-input" in ways
    more = ("-batch", "-kept", "-read", "-best")
    assert not {way for way in ways if way.startswith("nfqueue") or way.endswith(more)}


def test_nfqueue_is_measured_where_it_sees_the_same_fragments() -> None:
    rows = plan.measurements(PLAN, [BY_NAME["linux-6.1:defrag"]])
    assert {row.way.name for row in rows} & {"divert-input", "nfqueue-input"} == {"divert-input"}


def test_each_program_is_in_the_image() -> None:
    from harness.image import guestprograms

    known = {program.name for program in guestprograms.load()}
    assert {way.program.split()[0] for way in PLAN.ways if way.program} <= known


@pytest.mark.parametrize("name", ["linux-6.1:stock", "linux-6.1:base", "linux-6.12:base"])
def test_what_a_guest_loads_is_at_hand_there(name: str) -> None:
    variant = BY_NAME[name]
    at_hand = initramfs.names(kernels.named(variant.kernel).modules_at_hand)
    loaded = plan.modules(PLAN, variant)
    assert loaded
    # In the order of kernels.toml, where each comes after those that it needs.
    assert loaded == tuple(each for each in at_hand if each in loaded)
    # ip_tables is for the test that it and the module exclude each other (M6).
    assert "ip_tables" not in loaded


def test_the_reference_loads_nothing() -> None:
    assert plan.modules(PLAN, BY_NAME["base"]) == ()


def test_one_way_is_the_baseline() -> None:
    assert [way.name for way in PLAN.ways if way.baseline] == ["plain"]


def test_a_row_is_where_its_needs_are_met() -> None:
    found = names(ROWS)
    assert "stock/plain/1400" in found
    assert "base/divert-input/4000" in found
    assert "stock/divert-input/1400" not in found
    # The smallest datagrams are measured without always-defragment alone.
    assert "base/plain/64" in found
    assert "defrag/plain/64" not in found
    for row in ROWS:
        assert statements.unmet(row.way.needs, statements.features(row.variant)) is None


def test_what_is_to_be_compared_is_measured_side_by_side() -> None:
    found = names(ROWS)
    at = found.index("stock/plain/1400")
    assert found[at : at + 3] == ["stock/plain/1400", "base/plain/1400", "defrag/plain/1400"]


def test_only_brings_the_baselines_too() -> None:
    found = names(plan.only(ROWS, "base/divert-*/4000"))
    ways = ["plain", "divert-input", "divert-forward", "divert-output"]
    assert found == [f"base/{way}/4000" for way in ways]


@pytest.mark.parametrize("word", ["divert-output", "1400", "defrag", "defrag/accept/4000"])
def test_only_takes_a_name_or_a_part_of_it(word: str) -> None:
    found = plan.only(ROWS, word)
    assert found
    assert all(word in row.name or row.way.baseline for row in found)


def test_without_only_all_are_measured() -> None:
    assert plan.only(ROWS, None) == ROWS


def test_only_with_a_name_of_nothing_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="--only input names no measurement"):
        plan.only(ROWS, "1400,input")


def test_rounds_go_there_and_back() -> None:
    assert plan.in_turn(ROWS, 0) == ROWS
    assert plan.in_turn(ROWS, 1) == ROWS[::-1]
