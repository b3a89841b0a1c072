# SPDX-License-Identifier: GPL-2.0-only
"""`./inv canaries`: faults that are really made, and whether a run of ours ends as it then must.

A new one is a row of canaries.toml, and a function of faults.py if words and a test are not enough.
"""
