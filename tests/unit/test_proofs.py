# SPDX-License-Identifier: GPL-2.0-only
"""Every statement of SPEC.md, and every case of it, has a test; what has none is told."""

from __future__ import annotations

import pytest

from harness import proofs, statements
from harness.errors import UserError


def test_every_statement_and_case_has_a_test() -> None:
    assert proofs.unproved(statements.load(), proofs.by_part()) == []


def test_case_without_a_test_is_named() -> None:
    known = {name: row for name, row in statements.load().items() if name in ("S1", "S12")}
    parts = [name for row in known.values() for name in row.parts]
    assert len(parts) > 2
    assert proofs.unproved(known, {name: ["t"] for name in parts[1:]}) == parts[:1]


def test_unknown_statement_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="there is no statement s99"):
        proofs.show("s99")
