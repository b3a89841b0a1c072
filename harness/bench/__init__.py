# SPDX-License-Identifier: GPL-2.0-only
"""`./inv bench`: how fast packets go through a guest, in ratios. A new row is one of bench.toml."""
