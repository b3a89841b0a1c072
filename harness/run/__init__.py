# SPDX-License-Identifier: GPL-2.0-only
"""A run of the guest tests: what is asked, what it takes, a pytest process a variant, the recorder.

From outside: `runner.run`, `request.Request`, `statementtests`.
"""
