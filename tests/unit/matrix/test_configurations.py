# SPDX-License-Identifier: GPL-2.0-only
"""The other configurations, as data, and the variant that one of them is."""

from __future__ import annotations

import itertools
import re

from harness.matrix import configurations, kernelconfig, kernels, statements, variants
from harness.matrix.configurations import PREFIX, Configuration

ROWS = configurations.rows()


def plain() -> dict[str, str]:
    asked = kernelconfig.compose(("divert", configurations.FRAGMENT))
    return {option.symbol: option.value for option in asked}


def test_data_is_whole() -> None:
    data = configurations.load()
    for name, choice in data.choices.items():
        # What base.config does not answer, oldconfig would ask of other variants too.
        assert choice.file or choice.values[0] == "y"
        assert {*choice.needs, *choice.forces} <= set(data.choices), name
        assert not choice.file or re.search(name, "DEBUG_IP_FIREWALL_USER")
    for fault in data.faults:
        assert set(fault.when) <= set(data.choices)
        assert fault.says
        assert fault.why
    assert set(data.guest) <= set(data.choices)
    # What the variants have by their options is what they are said to have.
    reference = kernels.named(kernels.REFERENCE).features
    for name, choice in data.choices.items():
        if choice.gives and name != "SMP":
            assert (choice.gives <= reference) == (plain().get(f"CONFIG_{name}") == "y"), name


def test_each_pair_that_can_be_is_in_one() -> None:
    seen = {pair for row in ROWS.values() for pair in itertools.combinations(row.values.items(), 2)}
    wanted = configurations.load().model.pairs({})
    assert {((one, value), (other, second)) for one, value, other, second in wanted} <= seen


def test_first_are_those_with_names_then_those_that_boot() -> None:
    data = configurations.load()
    names = [name.removeprefix(PREFIX) for name in ROWS]
    assert names[: len(data.named)] == list(data.named)
    assert names[len(data.named) :] == [
        f"{number:02}" for number in range(1, len(names) - len(data.named) + 1)
    ]
    booting = list(ROWS.values())[len(data.named) :][: data.boots]
    assert len(booting) == data.boots
    for row in booting:
        assert row.boots
        assert data.guest.items() <= row.values.items()
    # In a dozen that differ, each option is on and off, but for what guests need.
    for name in data.choices:
        if name not in data.guest:
            assert {row.has(name) for row in booting} == {True, False}, name


def test_named_are_as_base_but_for_what_is_said() -> None:
    row = ROWS[f"{PREFIX}no-proc"]
    changed = {
        option.symbol: option.value
        for option in row.options
        if plain().get(option.symbol, "n") != option.value
    }
    assert changed == {"CONFIG_PROC_FS": "n", "CONFIG_SYSCTL": "n"}
    assert not row.boots
    assert row.what == "no /proc, and so no sysctl"
    assert ROWS[f"{PREFIX}01"].what.startswith("on: ")


def test_macros_are_for_the_file_that_has_them() -> None:
    row = ROWS[f"{PREFIX}no-multicast-routing"]
    assert row.make == ("CFLAGS_ip_fw.o=-DDEBUG_IP_FIREWALL_USER",)
    assert "CONFIG_DEBUG_IP_FIREWALL_USER" not in {option.symbol for option in row.options}
    assert row.has("DEBUG_IP_FIREWALL_USER")
    assert ROWS[f"{PREFIX}no-proc"].make == ()


def changed(name: str, **values: str) -> Configuration:
    row = ROWS[PREFIX + name]
    return Configuration(row.name, row.what, {**row.values, **values}, True, row.choices)


def test_variant_of_a_configuration() -> None:
    row = variants.of_configuration(
        changed("no-proc", SMP="y", IP_DIVERT_PASSTHROUGH="y", IP_ALWAYS_DEFRAG="n")
    )
    assert row.series == ("toolchain", "divert")
    assert row.fragments == ("divert", configurations.FRAGMENT)
    assert row.options == {"passthrough"}
    assert row.diverts
    assert row.processors == 2
    assert not row.checked
    without = variants.of_configuration(changed("no-proc", IP_DIVERT="n"))
    assert not without.diverts
    assert without.processors == 1


def test_variant_lacks_the_features_of_what_is_off() -> None:
    row = variants.of_configuration(changed("no-proc", IP_MROUTE="n", NET_IPIP="m"))
    has = statements.features(row)
    assert "configuration" in has
    assert not {"multicast-routing", "tunnels", "smp"} & has
    assert {"policy-routing", "netlink-device", "divert"} <= has
    two = statements.features(variants.of_configuration(changed("no-proc", SMP="y")))
    assert "smp" in two
    for each in variants.load().values():
        assert "configuration" not in statements.features(each)


def test_configurations_are_variants_where_they_are_named() -> None:
    assert variants.named(f"{PREFIX}no-proc").changes
    (row,) = variants.select(f"{PREFIX}02")
    assert row.name == f"{PREFIX}02"
    assert not any(each.changes for each in variants.select())
    assert not any(each.changes for each in variants.select("base"))
