# SPDX-License-Identifier: GPL-2.0-only
"""Builds, boots and tests kernels with divert sockets. docs/design.md shows the shape."""
