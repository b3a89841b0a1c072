# SPDX-License-Identifier: GPL-2.0-only
"""`./inv mutate`: faults in the divert series, one at a time, and whether a test sees each. They are in mutants/."""
