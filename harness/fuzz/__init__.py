# SPDX-License-Identifier: GPL-2.0-only
"""`./inv fuzz`: random calls in a guest, and what does not survive them."""
