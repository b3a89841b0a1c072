# SPDX-License-Identifier: GPL-2.0-only
"""One running guest: QEMU, its console and what it says, SSH, snapshots, and what became of it.

From outside: `machine.Machine`, `lender.Lender`, `detached.running`, `shell.Shell`.
"""
