# SPDX-License-Identifier: GPL-2.0-only
"""`./inv fresh`: README's commands on fresh machines. One is a row of rooms.toml."""
