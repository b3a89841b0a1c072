# SPDX-License-Identifier: GPL-2.0-only
"""M6. A kernel that is locked down, as one that was booted by Secure Boot is."""

from __future__ import annotations

import pytest

from harness.guest.shell import Shell
from tests.guest.support.stack import MODULE, is_loaded, load, unload

statement = pytest.mark.statement


@statement("M6/locked")
def test_a_kernel_that_is_locked_down_takes_signed_modules_only(shell: Shell) -> None:
    """Ours is not signed here; veth is by Debian's key, which the kernel trusts."""
    unload(shell)
    shell.check("mkdir /tmp/security && mount -t securityfs none /tmp/security")
    shell.check("echo integrity >/tmp/security/lockdown && dmesg -c >/dev/null")
    result = shell.run(f"insmod /lib/modules/{MODULE}.ko", seconds=30)
    assert result.status != 0
    assert "Operation not permitted" in result.stderr
    (line,) = shell.check("dmesg").splitlines()
    assert "Lockdown: insmod: unsigned module loading is restricted" in line
    assert not is_loaded(shell)
    load(shell, "veth")
    assert is_loaded(shell, "veth")
