# SPDX-License-Identifier: GPL-2.0-only
"""A run is divided alike on all machines: each test once, and no machine without one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.base import checkout, paths
from harness.base.errors import UserError
from harness.matrix import variants
from harness.record import shares
from harness.record.events import TestFinished, VariantSelected
from harness.run import inventory, inventoryfiles, request, shards, slowtests, worker
from harness.run.inventoryfiles import Inventory
from harness.run.shards import Shard, Test

CHOSEN = tuple(variants.load()[name] for name in ("base", "passthrough", "linux-6.1:base"))
TESTS = [f"m{number % 3}/test_x.py::test_{number}[a]" for number in range(60)]
# Of each three, one does not apply.
OWED: Mapping[str, Mapping[str, object]] = {
    row.name: {test: () for number, test in enumerate(TESTS) if number % 3} for row in CHOSEN
}


def division(of: int) -> list[Shard]:
    return [shards.assigned(Shard(n, of), CHOSEN, TESTS, OWED) for n in range(1, of + 1)]


@pytest.mark.parametrize("of", [1, 2, 3, 7, 8, 120])
def test_each_test_of_each_variant_is_in_one_shard(of: int) -> None:
    divided = division(of)
    pairs = [
        (variant, test)
        for shard in divided
        for variant, tests in shard.share.items()
        for test in tests
    ]
    assert sorted(pairs) == sorted((row.name, test) for row in CHOSEN for test in TESTS)
    # What each of them was told of the whole is what all of them make together.
    assert {shard.division for shard in divided} == {
        shares.digest(shard.share for shard in divided)
    }
    for shard in divided:
        assert any(test in OWED[name] for name, tests in shard.share.items() for test in tests)


def test_order_in_which_tests_are_found_does_not_matter() -> None:
    again = shards.assigned(Shard(2, 4), CHOSEN, TESTS[::-1], OWED)
    assert again == division(4)[1]


def test_digest_tells_a_test_less_one_twice_and_one_of_anothers() -> None:
    whole: list[shares.Share] = [{"base": ("a", "b")}, {"base": ("c",)}]
    others: tuple[list[shares.Share], ...] = (
        [{"base": ("a",)}, {"base": ("c",)}],
        [{"base": ("a", "b")}, {"base": ("b", "c")}],
        [{"base": ("a",)}, {"base": ("b", "c")}],
        [{"off": ("a", "b")}, {"base": ("c",)}],
        [{"base": ("c",)}, {"base": ("a", "b")}],
    )
    assert shares.digest(whole) == shares.digest([{"base": ["b", "a"]}, {"base": ["c"]}])
    assert shares.digest(whole) not in {shares.digest(other) for other in others}


def line(*costs: int, variant: str = "base") -> list[list[Test]]:
    return [[Test(variant, f"t{number}", cost)] for number, cost in enumerate(costs)]


def costs(parts: list[list[Test]]) -> list[list[int]]:
    return [[test.cost for test in part] for part in parts]


def test_dearest_part_is_as_cheap_as_can_be() -> None:
    assert costs(shards.divide(line(1, 1, 1, 9, 1, 1), {}, 3)) == [[1, 1, 1], [9], [1, 1]]
    # One test longer than all others leaves a part without any, but for this.
    assert costs(shards.divide(line(9, 1, 1), {}, 3)) == [[9], [1], [1]]


def test_variant_costs_its_build_and_boot_wherever_it_is() -> None:
    two = line(4, 4) + line(4, 4, variant="off")
    dear = {"base": 100, "off": 100}
    assert [{test.variant for test in part} for part in shards.divide(two, dear, 2)] == [
        {"base"},
        {"off"},
    ]


@pytest.mark.parametrize("text", ["3", "0/8", "9/8", "3/0", "-1/8", "3/8/9", "a/b", "", "3 / 8"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UserError, match="--shard"):
        shards.parse(text)


def test_more_shards_than_tests_is_a_mistake_on_all_machines() -> None:
    with pytest.raises(UserError, match="only 120 tests to be divided") as error:
        shards.assigned(Shard(7, 121), CHOSEN, TESTS, OWED)
    assert "7/120" in error.value.hint


def test_request_of_a_shard_is_for_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {test: worker.Test(("S1",)) for test in TESTS}
    monkeypatch.setattr(worker, "survey", lambda *_: found)
    monkeypatch.setattr(inventory, "require", lambda *_: Inventory({}, {}))
    monkeypatch.setattr(
        inventory, "owed", lambda _stored, _tests, name: dict.fromkeys(OWED[name], ("any",))
    )
    names = ",".join(row.name for row in CHOSEN)
    asked = [
        request.asked(variant=names, shard=f"{n}/3", require=["linux-2.2.12", "linux-6.1"])
        for n in (1, 2, 3)
    ]
    for each in asked:
        assert each.shard is not None
        assert each.command.endswith(f"--seed {checkout.seed()} --jobs {each.jobs}")
        assert f"--variant {names} --shard {each.shard} " in each.command
        assert {row.name for row in each.variants} == set(each.shard.share)
        for name, own in each.shard.share.items():
            assert tuple(each.tests_on(name)) == own
            assert set(each.owed[name]) == set(own) & set(OWED[name])
        # What others have to run is not missing here.
        kernels = {row.kernel for row in each.variants}
        assert set(each.requires) == kernels & {"linux-2.2.12", "linux-6.1"}


def test_slow_tests_are_those_of_the_run(tmp_path: object) -> None:
    def finished(test: str, seconds: float, outcome: str = "passed") -> TestFinished:
        return TestFinished(
            variant="base",
            test=test,
            outcome=outcome,  # type: ignore[arg-type]
            statements=(),
            seconds=seconds,
        )

    rows = [
        VariantSelected(variant="base", kernel="linux-2.2.12", has=()),
        *(finished(f"a::test_x[{n}]", 0.1) for n in range(5)),
        finished("a::test_slow[1]", 0.5),
        finished("a::test_slow[2]", 1.5),
        finished("a::test_skipped", 99, "skipped"),
    ]
    (seconds,) = slowtests.learned(rows).values()
    assert (seconds.usual, seconds.slow) == (0.1, {"a::test_slow": 1.0})


def test_table_of_slow_tests_is_of_tests_that_there_are() -> None:
    """One that has gone does no harm; a table that nobody writes anew divides badly at last."""
    there = inventoryfiles.read(paths.GUEST_TESTS).functions
    known = slowtests.load()
    named = [name for row in known.values() for name in row.slow]
    gone = [name for name in named if name not in there]
    assert len(gone) < len(named) / 4, "./inv inventory --durations RUN writes it anew"
    assert {"linux-2.2.12", "linux-6.1"} <= known.keys()
