# SPDX-License-Identifier: GPL-2.0-only
"""Upstream's releases: where they come from, whether they are what they should be, and our patches to them.

From outside: `sources.obtain`, `releases.load`, `patches.load_for`, `worktree.lay_out`.
"""
