# SPDX-License-Identifier: GPL-2.0-only
"""A run of the guest tests: what is asked, what it will take, the pytest process of each variant, the recorder.

From outside: `runner.run`, `request.Request`, `proofs`.
"""
