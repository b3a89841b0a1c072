# SPDX-License-Identifier: GPL-2.0-only
"""One guest for one person: run a command, log in, see the console.

From outside: `session.run`, `session.shell`, `session.console`, `session.guest`.
"""
