# SPDX-License-Identifier: GPL-2.0-only
"""Kernels and the module, compiled or from packages: what a variant boots, without its files.

From outside: `kernel.build`, `distribution.obtain`, `rebuilt`, `module.build`, `parts.build`.
"""
