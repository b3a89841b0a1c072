# SPDX-License-Identifier: GPL-2.0-only
"""gdb on a guest's kernel. From outside: `debugger.debug`, `debugger.attach`."""
