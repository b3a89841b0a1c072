# SPDX-License-Identifier: GPL-2.0-only
"""What a variant boots, whichever kernel it is of: one kernel and one RAM disk.

From outside: `bootable.build`, `initramfs.build`.
"""
