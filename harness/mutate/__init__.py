# SPDX-License-Identifier: GPL-2.0-only
"""`./inv mutate`: faults in the divert series, one at a time, and whether a test sees each.

A new one is a row of a file in mutants/.
"""
