# SPDX-License-Identifier: GPL-2.0-only
"""O. In what hosts rightly differ."""

from __future__ import annotations

from dataclasses import dataclass

from harness.matrix import statements


@dataclass(frozen=True)
class Traits:
    """In what hosts rightly differ: the options of O3, and lines of differences.toml.

    `shuts`: shutdown() of a socket without a peer has an effect beside ENOTCONN.
    """

    passthrough: bool = False
    defrag: bool = False
    refuses_circles: bool = False
    shuts: bool = False


def traits(has: frozenset[str]) -> Traits:
    """Those of a kernel that has these features (`matrix.statements.features`)."""
    return Traits(
        passthrough="passthrough" in has,
        defrag="defrag" in has,
        refuses_circles=statements.difference("circle-of-chains", has)[0] == "refused",
        shuts=statements.difference("shut-for-writing", has)[0] == "EPIPE",
    )
