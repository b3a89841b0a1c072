# SPDX-License-Identifier: GPL-2.0-only
"""The test network's far side: addresses, wires, frames and packets, and these in words.

From outside: `wire.Wire`, `addresses.LINKS`, `packets`, `dissect.compared`.
"""
