# SPDX-License-Identifier: GPL-2.0-only
"""What users take home: the export for 2.2.12, Debian packages, the module for Debian's kernels."""
