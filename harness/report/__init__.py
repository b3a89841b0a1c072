# SPDX-License-Identifier: GPL-2.0-only
"""A run's events judged and shown: the verdict, the tables, JUnit's file, the page by statement.

From outside: `verdict.judge`, `report.render`, `report.write`.
"""
