# SPDX-License-Identifier: GPL-2.0-only
"""The guest's files: its programs, its libc, its RAM disk, its keys.

From outside: `image.build`, `sysroot.build`, `keys.obtain`.
"""
