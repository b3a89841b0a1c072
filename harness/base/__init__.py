# SPDX-License-Identifier: GPL-2.0-only
"""What every room stands on: errors, paths, deadlines, the host's programs, cache, terminal.

It knows nothing of kernels and guests, and imports no other room.
"""
