# SPDX-License-Identifier: GPL-2.0-only
"""Which lines and branches of the code under test the guest tests run: `./inv test --coverage`.

For other rooms: `coverage.test`.
"""
