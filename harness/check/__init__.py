# SPDX-License-Identifier: GPL-2.0-only
"""`./inv check` and `./inv configurations`: the project's own tests, one step after the other."""
