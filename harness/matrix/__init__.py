# SPDX-License-Identifier: GPL-2.0-only
"""What there is to choose from, as data: kernels, variants, configurations, SPEC.md's statements.

A new kernel is a row of kernels.toml, a new variant one of variants.toml, a new statement a file of
statements/. From outside: the `load` of each module.
"""
