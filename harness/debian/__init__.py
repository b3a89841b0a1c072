# SPDX-License-Identifier: GPL-2.0-only
"""The distribution, without touching the host: its release, archives, packages, a root of its own.

From outside: `hostrelease.host`, `packages.binary`, `packages.source`, `bootstrap.lay_out`,
`namespace.run`.
"""
