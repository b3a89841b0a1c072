# SPDX-License-Identifier: GPL-2.0-only
"""`./inv fresh`: README's commands on machines that have never seen us. A new machine is a row of rooms.toml."""
