# SPDX-License-Identifier: GPL-2.0-only
"""M13. This kernel is one that the module is for, and has it without a word."""

from __future__ import annotations

import re

import pytest

from harness.guest.shell import Shell
from harness.kernel import module
from tests.guest.support.stack import is_loaded

statement = pytest.mark.statement

# Documentation/admin-guide/tainted-kernels.rst: a module from elsewhere; one that is not signed.
_FROM_ELSEWHERE, _UNSIGNED = 1 << 12, 1 << 13


def is_let_in(release: str) -> bool:
    """Whether module/dkms.conf lets DKMS build the module for this kernel."""
    text = (module.SOURCE / "dkms.conf").read_text()
    found = re.search(r'^BUILD_EXCLUSIVE_KERNEL="(.*)"$', text, re.MULTILINE)
    assert found
    return re.search(found[1], release) is not None


@statement("M13/let-in")
def test_dkms_lets_this_kernel_in_and_none_that_was_not_tried(shell: Shell) -> None:
    release = shell.check("cat /proc/sys/kernel/osrelease").strip()
    assert is_let_in(release)
    for other in ("5.19.0-1-amd64", "6.0.0-1-amd64", "7.4.0-1-amd64", "7.30.1", "16.1.0"):
        assert not is_let_in(other), other


@statement("M13/clean")
def test_it_is_loaded_and_the_kernel_complains_of_nothing(shell: Shell) -> None:
    """What is built with a warning is no module here (harness/kernel/module.py)."""
    assert is_loaded(shell)
    tainted = int(shell.check("cat /proc/sys/kernel/tainted"))
    assert tainted & ~(_FROM_ELSEWHERE | _UNSIGNED) == 0
    assert tainted & _FROM_ELSEWHERE
