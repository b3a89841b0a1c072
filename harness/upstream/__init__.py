# SPDX-License-Identifier: GPL-2.0-only
"""Upstream's releases: where they are, whether they are whole, and our patches to them.

From outside: `sources.obtain`, `releases.load`, `patches.load_for`, `worktree.lay_out`.
"""
