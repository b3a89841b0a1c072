# SPDX-License-Identifier: GPL-2.0-only
"""This host: what it lacks and how it gets it, what a run depends on, what we left on it."""
