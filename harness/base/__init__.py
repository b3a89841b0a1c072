# SPDX-License-Identifier: GPL-2.0-only
"""What every other room stands on: errors, paths, deadlines, programs of the host, the cache, the terminal.

It knows nothing of kernels and guests, and imports no other room.
"""
