# SPDX-License-Identifier: GPL-2.0-only
"""`./inv judge`: judges that need no test, but a model, or a second kernel: docs/judges.md."""
